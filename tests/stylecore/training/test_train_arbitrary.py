from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stylecore.errors import JobError, RunStoppedError
from stylecore.generate.arbitrary_files import load_arbitrary, save_arbitrary
from stylecore.training.arbitrary import ArbitraryData, TrainedArbitrary, train_arbitrary
from stylecore.training.arbitrary_settings import TrainArbitrarySettings
from stylecore.training.data import hold_out
from stylecore.training.refiner import Perception
from stylecore.training.style_validation import StyleValidation
from stylecore.training.watch import TrainingWatch

SETTINGS = TrainArbitrarySettings(
    num_steps=4,
    batch_size=2,
    crop_px=32,
    width=4,
    num_blocks=1,
    num_views=4,
    num_validation_photographs=1,
    num_validation_paintings=1,
    num_validations=2,
    seed=3,
)


class Distance(nn.Module):
    """Stands in for LPIPS."""

    def forward(self, one: torch.Tensor, other: torch.Tensor, normalize: bool) -> torch.Tensor:
        return (one - other).abs().mean()


@pytest.fixture
def perception(tiny_encoder) -> Perception:
    return Perception(tiny_encoder, Distance())


def picture(seed: int, height: int = 45, width: int = 36) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def data() -> ArbitraryData:
    photographs = [picture(seed) for seed in range(3)]
    return ArbitraryData(photographs, [picture(90, 64, 50), picture(91, 30, 40)], 48, "CC0")


def weights_of(trained: TrainedArbitrary) -> dict[str, torch.Tensor]:
    return trained.decoder.state_dict()


def are_equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def checkpoint_after(step: int, data: ArbitraryData, perception: Perception) -> bytes:
    """Kill a training after a step, by its stop flag."""
    steps: list[int] = []
    saved: list[bytes] = []
    watch = TrainingWatch(
        on_step=lambda number, _: steps.append(number),
        should_stop=lambda: bool(steps) and steps[-1] == step,
        on_checkpoint=saved.append,
    )
    with pytest.raises(RunStoppedError, match=f"after step {step}"):
        train_arbitrary(data, perception, SETTINGS, watch)
    return saved[-1]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("step", [1, 3])
def test_resumed_training_of_a_decoder_gives_the_weights_of_an_uninterrupted_one(
    data, perception, step, precision, monkeypatch
):
    monkeypatch.setattr("stylecore.training.arbitrary.fastest_precision", lambda _: precision)
    whole = train_arbitrary(data, perception, SETTINGS, TrainingWatch())
    checkpoint = checkpoint_after(step, data, perception)
    resumed = train_arbitrary(data, perception, SETTINGS, TrainingWatch(), checkpoint)
    assert are_equal(weights_of(resumed), weights_of(whole))
    assert resumed.curves == whole.curves
    assert resumed.card == whole.card


def test_global_chance_is_neither_used_nor_changed(data, perception):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        found.append(train_arbitrary(data, perception, SETTINGS, TrainingWatch()))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert are_equal(weights_of(found[0]), weights_of(found[1]))


def test_training_lowers_the_losses(data, perception):
    changes = {"num_steps": 60, "num_validations": 6, "averaging": 0.5, "learning_rate": 0.005}
    changes |= {"drawing_share": 0.0, "photograph_share": 0.0}
    coarse = [np.kron(picture(seed, 8, 8), np.ones((8, 8, 1), np.uint8)) for seed in range(2)]
    data = replace(data, paintings=coarse)  # noise in the colors of noise could not get better
    validations: list[StyleValidation] = []
    watch = TrainingWatch(on_validation=validations.append)
    trained = train_arbitrary(data, perception, SETTINGS.model_copy(update=changes), watch)
    assert [one.step for one in validations] == [10, 20, 30, 40, 50, 60]
    assert trained.validation.total == min(one.total for one in validations)
    assert trained.validation.total < 0.9 * validations[0].total


def test_card_says_what_the_decoder_is(data, perception):
    trained = train_arbitrary(data, perception, SETTINGS, TrainingWatch())
    card = trained.card
    assert (card.num_features, card.width, card.num_blocks) == (6, 4, 1)
    assert (card.num_photographs, card.num_paintings, card.max_side_px) == (3, 2, 48)
    assert card.license == "CC0"
    assert TrainArbitrarySettings.model_validate(card.settings) == SETTINGS
    assert card.metrics == trained.validation.figures()
    _, read = load_arbitrary(save_arbitrary(trained.decoder, card), "here")
    assert read == card


def test_samples_show_photographs_and_pictures_side_by_side(data, perception):
    trained = train_arbitrary(data, perception, SETTINGS, TrainingWatch())
    ((photograph, drawn),) = trained.validation.samples
    assert photograph.shape == drawn.shape == (40, 32, 3)  # whole pixels of the features
    assert any(np.array_equal(photograph, one[:40, :32]) for one in data.photographs)


@pytest.mark.parametrize(("num_held", "pictures"), [(0, 3), (1, 1), (2, 1), (9, 1)])
def test_paintings_are_kept_from_training_where_that_is_wanted(
    data, perception, num_held, pictures
):
    data = replace(data, paintings=data.paintings if num_held else [picture(n) for n in range(5)])
    settings = SETTINGS.model_copy(update={"num_validation_paintings": num_held})
    trained = train_arbitrary(data, perception, settings, TrainingWatch())
    assert trained.validation.pictures == pictures


def test_no_picture_is_both_trained_and_judged_on():
    pictures = [picture(seed) for seed in range(5)]
    train, held = hold_out(pictures, 2, seed=1)
    assert (len(train), len(held)) == (3, 2)
    assert {one.tobytes() for one in [*train, *held]} == {one.tobytes() for one in pictures}
    assert [len(one) for one in hold_out(pictures, 9, seed=1)] == [1, 4]
    assert [len(one) for one in hold_out(pictures[:1], 2, seed=1)] == [1, 1]


def test_paintings_are_scaled_so_that_strokes_have_the_size_they_have_in_a_picture(data):
    assert [one.shape for one in data.scaled_paintings()] == [(48, 38, 3), (36, 48, 3)]


@pytest.mark.parametrize("size", [(16, 16), (17, 90)])
def test_small_photographs_are_trained_on(data, perception, size):
    small = replace(data, photographs=[picture(seed, *size) for seed in range(2)])
    assert train_arbitrary(small, perception, SETTINGS, TrainingWatch()).curves


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photographs": []}, "at least one photograph"),
        ({"paintings": []}, "at least one painting"),
        ({"photographs": [picture(1, 15)]}, "a photograph of 36 x 15 px is too small"),
        ({"paintings": [picture(1, 40, 9)]}, "a painting of 9 x 40 px is too small"),
    ],
)
def test_pictures_that_cannot_be_trained_on_are_refused(data, perception, changes, message):
    with pytest.raises(JobError, match=message):
        train_arbitrary(replace(data, **changes), perception, SETTINGS, TrainingWatch())


def test_checkpoints_of_other_settings_or_pictures_are_refused(data, perception):
    checkpoint = checkpoint_after(1, data, perception)
    other = SETTINGS.model_copy(update={"style_weight": 2.0})
    with pytest.raises(JobError, match="style_weight changed"):
        train_arbitrary(data, perception, other, TrainingWatch(), checkpoint)
    fewer = replace(data, paintings=data.paintings[:1])
    with pytest.raises(JobError, match="pictures changed"):
        train_arbitrary(fewer, perception, SETTINGS, TrainingWatch(), checkpoint)


def test_training_that_is_stopped_before_its_first_step_ends_at_once(data, perception):
    watch = TrainingWatch(should_stop=lambda: True)
    with pytest.raises(RunStoppedError, match="before its first step"):
        train_arbitrary(data, perception, SETTINGS, watch)
