"""The loop around an update rule: counting, leaving, and what comes back."""

import time

import pytest
import torch
from style_targets import make_style_target

from stylecore.errors import DeadlineError, JobError, NonFiniteError, RunStoppedError
from stylecore.optimize.loop import minimize
from stylecore.optimize.watch import Watch
from stylecore.perception.objective import Objective
from stylecore.perception.targets import make_content_target
from stylecore.settings import OptimizeSettings
from stylecore.types import ImageBatch, PerImage

OPTIMIZERS = ["lbfgs", "adam"]


class Recorder:
    """An objective that remembers where it was evaluated, and what it said."""

    def __init__(self, objective) -> None:
        self.objective = objective
        self.images: list[ImageBatch] = []
        self.totals: list[PerImage] = []

    def __call__(self, images: ImageBatch) -> PerImage:
        totals = self.objective(images)
        self.images.append(images.detach().clone())
        self.totals.append(totals.detach())
        return totals


def settings(optimizer: str = "lbfgs", num_evaluations: int = 20) -> OptimizeSettings:
    return OptimizeSettings(optimizer=optimizer, num_evaluations=num_evaluations, learning_rate=0.3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("num_evaluations", [1, 2, 17])
def test_the_objective_is_evaluated_exactly_as_often_as_asked(
    quadratic, grey, optimizer, num_evaluations
):
    recorder = Recorder(quadratic)
    result = minimize(recorder, grey, settings(optimizer, num_evaluations), Watch())
    assert len(recorder.totals) == num_evaluations
    assert result.evaluations == [num_evaluations] * 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_best_picture_seen_comes_back(quadratic, grey, optimizer):
    recorder = Recorder(quadratic)
    result = minimize(recorder, grey, settings(optimizer), Watch())
    best = torch.stack(recorder.totals).min(dim=0).values
    assert torch.equal(result.totals, best)
    assert torch.equal(quadratic(result.images), best)


def test_the_best_seen_need_not_be_the_last():
    """Adam with steps of 0.3 shoots over a minimum that lies 0.01 away."""
    recorder = Recorder(lambda images: (images - 0.51).square().flatten(1).sum(dim=1))
    result = minimize(recorder, torch.full((1, 3, 2, 2), 0.5), settings("adam", 3), Watch())
    assert torch.equal(result.totals, recorder.totals[0])
    assert recorder.totals[-1] > recorder.totals[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_objective_is_never_evaluated_outside_the_bounds(quadratic, grey, optimizer):
    recorder = Recorder(quadratic)
    start = torch.linspace(-1, 2, grey.numel(), dtype=grey.dtype).view_as(grey)
    minimize(recorder, start, settings(optimizer), Watch())
    images = torch.stack(recorder.images)
    assert images.min() == 0
    assert images.max() == 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_start_and_its_gradient_are_left_alone(quadratic, grey, optimizer):
    start = grey.clone().requires_grad_()
    minimize(quadratic, start, settings(optimizer), Watch())
    assert torch.equal(start, grey)
    assert start.grad is None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_start_gives_the_same_picture(quadratic, grey, optimizer):
    first, second = (minimize(quadratic, grey, settings(optimizer), Watch()) for _ in range(2))
    assert torch.equal(first.images, second.images)


def test_progress_is_reported_after_every_evaluation(quadratic, grey):
    seen = []
    watch = Watch(on_evaluation=lambda key, number, total: seen.append((key, number, total)))
    minimize(quadratic, grey, settings(num_evaluations=3), watch)
    assert [number for _, number, _ in seen] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [key for key, _, _ in seen] == [0, 1, 2] * 3
    assert [total for _, _, total in seen[:3]] == quadratic(grey).tolist()


def test_the_stop_flag_ends_the_work_before_the_next_evaluation(quadratic, grey):
    recorder = Recorder(quadratic)
    watch = Watch(should_stop=lambda: len(recorder.totals) == 2)
    with pytest.raises(RunStoppedError):
        minimize(recorder, grey, settings(), watch)
    assert len(recorder.totals) == 2


def test_a_deadline_that_passes_becomes_the_error_of_every_picture(quadratic, grey):
    result = minimize(quadratic, grey, settings(), Watch(deadline=time.monotonic()))
    assert [type(error) for error in result.errors] == [DeadlineError] * 3
    assert result.evaluations == [0, 0, 0]
    assert "after 0 of 20 evaluations" in str(result.errors[0])


def test_a_deadline_far_away_changes_nothing(quadratic, grey):
    result = minimize(quadratic, grey, settings(), Watch(deadline=time.monotonic() + 999))
    assert result.errors == [None, None, None]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_picture_that_is_not_finite_leaves_and_its_neighbours_do_not_notice(
    quadratic, grey, optimizer, poison
):
    recorder = Recorder(quadratic)

    def poisoned(images: ImageBatch) -> PerImage:
        factor = torch.ones(3, dtype=images.dtype)
        factor[1] = poison if len(recorder.totals) >= 4 else 1
        return recorder(images) * factor

    result = minimize(poisoned, grey, settings(optimizer), Watch())
    healthy = minimize(quadratic, grey, settings(optimizer), Watch())
    assert [type(error) for error in result.errors] == [type(None), NonFiniteError, type(None)]
    assert "evaluation 5" in str(result.errors[1])
    assert "lower style_weight" in str(result.errors[1])
    assert result.evaluations == [20, 5, 20]
    assert torch.equal(result.images[[0, 2]], healthy.images[[0, 2]])


def test_a_gradient_that_is_not_finite_is_an_error_too():
    def cusp(images: ImageBatch) -> PerImage:
        return (images - 0.5).abs().sqrt().flatten(1).sum(dim=1)

    result = minimize(cusp, torch.full((1, 3, 2, 2), 0.5), settings(), Watch())
    assert isinstance(result.errors[0], NonFiniteError)


def test_a_picture_does_the_same_alone_and_in_a_batch_through_a_network(tiny_encoder):
    """In double precision: in single, a network rounds batches differently, and it adds up."""
    encoder = tiny_encoder.double()
    generator = torch.Generator().manual_seed(6)
    contents = torch.rand(3, 3, 24, 20, generator=generator, dtype=torch.float64)
    styles = [(torch.rand(1, 3, 20, 24, generator=generator, dtype=torch.float64), 1.0)]
    style = make_style_target(encoder, styles, ["relu1_1", "relu3_1"])
    objective = Objective(encoder, make_content_target(encoder, contents, ["relu4_2"]), style)
    alone = objective.select([1])

    together = minimize(lambda images: objective(images).total, contents, settings(), Watch())
    single = minimize(lambda images: alone(images).total, contents[1:2], settings(), Watch())
    torch.testing.assert_close(single.images[0], together.images[1], rtol=0, atol=1e-6)


def test_nothing_more_is_evaluated_once_every_picture_has_converged():
    recorder = Recorder(lambda images: images.square().flatten(1).sum(dim=1))
    result = minimize(recorder, torch.zeros(2, 3, 4, 4), settings(), Watch())
    assert len(recorder.totals) == 1
    assert result.errors == [None, None]


def test_settings_without_a_number_of_evaluations_are_refused(quadratic, grey):
    with pytest.raises(JobError, match="num_evaluations"):
        minimize(quadratic, grey, OptimizeSettings(), Watch())
