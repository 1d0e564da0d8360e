import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stylecore.errors import JobError, RunStoppedError
from stylecore.refine.files import load_refiner, save_refiner
from stylecore.refine.gate import GateChoice, GateFigures
from stylecore.refine.networks import Refiner
from stylecore.training.checkpoint import read_progress
from stylecore.training.data import PicturePair, TrainingData, digest_pictures
from stylecore.training.refiner import Perception, TrainedRefiner, train_refiner
from stylecore.training.settings import TrainRefinerSettings
from stylecore.training.validation import RefinerValidation, Validator
from stylecore.training.watch import TrainingWatch

SETTINGS = TrainRefinerSettings(
    num_steps=4, batch_size=2, crop_px=32, perception_every=2, num_validations=2, seed=3
)


class Distance(nn.Module):
    """Stands in for LPIPS."""

    def forward(self, one: torch.Tensor, other: torch.Tensor, normalize: bool) -> torch.Tensor:
        return (one - other).abs().mean()


@pytest.fixture
def perception(tiny_encoder) -> Perception:
    return Perception(tiny_encoder, Distance())


def picture(seed: int, height: int = 40, width: int = 36) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def data() -> TrainingData:
    pairs = [PicturePair(f"{seed}.png", picture(seed), picture(seed + 50)) for seed in range(3)]
    return TrainingData(pairs, [picture(90, 64, 64)], license="CC0")


def weights_of(trained: TrainedRefiner) -> dict[str, torch.Tensor]:
    return trained.refiner.state_dict()


def are_equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def checkpoint_after(data, perception) -> Callable[..., bytes]:
    def train_until(step: int, settings: TrainRefinerSettings = SETTINGS) -> bytes:
        """Kill a training after a step, by its stop flag."""
        steps: list[int] = []
        saved: list[bytes] = []
        watch = TrainingWatch(
            on_step=lambda number, _: steps.append(number),
            should_stop=lambda: steps[-1] == step,
            on_checkpoint=saved.append,
        )
        with pytest.raises(RunStoppedError, match=f"after step {step}"):
            train_refiner(data, perception, settings, watch)
        return saved[-1]

    return train_until


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("changes", [{}, {"spectral_norm": True, "success_limit": 0.51}])
def test_resumed_training_gives_the_weights_of_an_uninterrupted_one(
    data, perception, checkpoint_after, step, changes
):
    settings = SETTINGS.model_copy(update=changes)
    whole = train_refiner(data, perception, settings, TrainingWatch())
    checkpoint = checkpoint_after(step, settings)
    resumed = train_refiner(data, perception, settings, TrainingWatch(), checkpoint)
    assert are_equal(weights_of(resumed), weights_of(whole))
    assert resumed.curves == whole.curves
    assert resumed.card == whole.card


def test_checkpoints_do_not_change_what_is_learned(data, perception):
    saved: list[bytes] = []
    watch = TrainingWatch(wants_checkpoint=lambda: True, on_checkpoint=saved.append)
    watched = train_refiner(data, perception, SETTINGS, watch)
    alone = train_refiner(data, perception, SETTINGS, TrainingWatch())
    assert len(saved) == 4
    assert are_equal(weights_of(watched), weights_of(alone))


def test_finished_checkpoint_needs_no_more_steps(data, perception):
    saved: list[bytes] = []
    watch = TrainingWatch(wants_checkpoint=lambda: True, on_checkpoint=saved.append)
    whole = train_refiner(data, perception, SETTINGS, watch)
    steps: list[int] = []
    idle = TrainingWatch(on_step=lambda number, _: steps.append(number))
    resumed = train_refiner(data, perception, SETTINGS, idle, saved[-1])
    assert not steps
    assert are_equal(weights_of(resumed), weights_of(whole))


def test_checkpoint_tells_how_far_it_is(checkpoint_after):
    progress = read_progress(checkpoint_after(3))
    assert progress.step == 3
    assert [point.step for point in progress.curves.points] == [1, 2, 3]


def test_another_seed_gives_other_weights(data, perception):
    one, other = (
        train_refiner(data, perception, SETTINGS.model_copy(update={"seed": seed}), TrainingWatch())
        for seed in (1, 2)
    )
    assert not are_equal(weights_of(one), weights_of(other))


def test_global_chance_is_neither_used_nor_changed(data, perception):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        found.append(train_refiner(data, perception, SETTINGS, TrainingWatch()))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert are_equal(weights_of(found[0]), weights_of(found[1]))


def test_watch_hears_of_every_step_and_of_every_validation(data, perception):
    steps: dict[int, Mapping[str, float]] = {}
    validations: list[RefinerValidation] = []
    watch = TrainingWatch(on_step=steps.__setitem__, on_validation=validations.append)
    trained = train_refiner(data, perception, SETTINGS, watch)
    assert [*steps] == [1, 2, 3, 4]
    assert {"discriminator", "adversary", "content", "style", "residual"} <= steps[1].keys()
    assert "content" not in steps[2]
    assert [validation.step for validation in validations] == [2, 4]
    assert [point.step for point in trained.curves] == [1, 2, 3, 4]


def test_best_weights_are_those_of_the_best_validation(data, perception, monkeypatch):
    validate = Validator.validate
    seen: dict[int, Mapping[str, torch.Tensor]] = {}

    def best_at_six(self: Validator, refiner: Refiner, step: int) -> RefinerValidation:
        seen.setdefault(step, copy.deepcopy(refiner.state_dict()))
        before = GateFigures(1.0, 0.5, 0.5)
        after = GateFigures({3: 0.8, 6: 0.5, 9: 0.6, 12: 0.9}[step], 0.5, 0.5)
        return replace(validate(self, refiner, step), choices=[GateChoice(1.0, before, after)])

    monkeypatch.setattr(Validator, "validate", best_at_six)
    settings = SETTINGS.model_copy(update={"num_steps": 12, "num_validations": 4})
    trained = train_refiner(data, perception, settings, TrainingWatch())
    assert trained.validation.step == 6
    assert trained.card.metrics["step"] == 6
    assert trained.card.metrics["fdrl_gain"] == 0.5
    assert are_equal(weights_of(trained), seen[6])
    assert not are_equal(seen[6], seen[9])


def test_card_says_what_the_refiner_is(data, perception):
    trained = train_refiner(data, perception, SETTINGS, TrainingWatch())
    card = trained.card
    assert card.style_digests == (digest_pictures(data.paintings[0]),)
    assert len(card.data_digests) == 3
    assert card.license == "CC0"
    assert TrainRefinerSettings.model_validate(card.settings) == SETTINGS
    assert card.metrics == trained.validation.figures()
    _, read = load_refiner(save_refiner(trained.refiner, card), "here")
    assert read == card


def test_validation_shows_its_pictures_before_and_after(data, perception):
    trained = train_refiner(data, perception, SETTINGS, TrainingWatch())
    ((content, stylized, refined),) = trained.validation.samples  # one of three is held out
    (held,) = (pair for pair in data.pairs if np.array_equal(pair.stylized, stylized))
    np.testing.assert_array_equal(held.content, content)
    assert refined.shape == stylized.shape


def test_single_picture_is_trained_and_validated_on_itself(data, perception):
    single = replace(data, pairs=data.pairs[:1])
    trained = train_refiner(single, perception, SETTINGS, TrainingWatch())
    ((_, stylized, _),) = trained.validation.samples
    np.testing.assert_array_equal(stylized, single.pairs[0].stylized)


def test_pictures_of_different_sizes_are_trained_on_together(data, perception):
    wide = PicturePair("wide.png", picture(7, 16, 50), picture(8, 16, 50))
    mixed = replace(data, pairs=[*data.pairs, wide])
    assert train_refiner(mixed, perception, SETTINGS, TrainingWatch()).card.data_digests[3]


@pytest.mark.parametrize("adversary", ["hinge", "least-squares"])
def test_other_games_train_too(data, perception, adversary):
    changes = {"adversary": adversary, "feature_weight": 1.0, "style_weight": 0.0}
    trained = train_refiner(data, perception, SETTINGS.model_copy(update=changes), TrainingWatch())
    assert "features" in trained.curves[0].values
    assert "style" not in trained.curves[0].values


def test_checkpoint_of_other_settings_is_refused_by_their_names(data, perception, checkpoint_after):
    other = SETTINGS.model_copy(update={"content_weight": 2.0, "seed": 4})
    with pytest.raises(JobError, match=r"content_weight, seed changed"):
        train_refiner(data, perception, other, TrainingWatch(), checkpoint_after(1))


def test_checkpoint_of_other_pictures_is_refused(data, perception, checkpoint_after):
    other = replace(data, paintings=[picture(91)])
    with pytest.raises(JobError, match="paintings changed"):
        train_refiner(other, perception, SETTINGS, TrainingWatch(), checkpoint_after(1))


def test_bytes_that_are_no_checkpoint_are_refused(data, perception, checkpoint_after):
    refiner = train_refiner(data, perception, SETTINGS, TrainingWatch())
    for wrong in (b"", b"PK\x03\x04", save_refiner(refiner.refiner, refiner.card)):
        with pytest.raises(JobError, match="checkpoint: "):
            train_refiner(data, perception, SETTINGS, TrainingWatch(), wrong)
    broken = checkpoint_after(1)[:-10]
    with pytest.raises(JobError, match="damaged"):
        train_refiner(data, perception, SETTINGS, TrainingWatch(), broken)


def test_training_that_went_astray_says_which_loss(data, perception):
    wild = SETTINGS.model_copy(update={"discriminator_learning_rate": 1e30})
    with pytest.raises(JobError, match=r"the loss '\w+' is (nan|inf) at step \d"):
        train_refiner(data, perception, wild, TrainingWatch())


@pytest.mark.parametrize(
    ("pairs", "paintings", "message"),
    [
        ([], [picture(1)], "at least one stylized picture"),
        ([PicturePair("a", picture(1), picture(2))], [], "at least one painting"),
        ([PicturePair("a", picture(1), picture(2, 40, 37))], [picture(1)], "a: .*36 x 40.*37 x 40"),
        ([PicturePair("a", picture(1, 15), picture(2, 15))], [picture(1)], "a: 36 x 15 px"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(perception, pairs, paintings, message):
    data = TrainingData(pairs, paintings)
    with pytest.raises(JobError, match=message):
        train_refiner(data, perception, SETTINGS, TrainingWatch())


@pytest.mark.parametrize(
    ("num_pairs", "share", "expected"),
    [(1, 0.2, (1, 1)), (2, 0.2, (1, 1)), (10, 0.2, (8, 2)), (10, 0.0, (10, 10)), (3, 0.5, (1, 2))],
)
def test_pairs_are_split_by_share_with_at_least_one_on_each_side(num_pairs, share, expected):
    pairs = [PicturePair(str(seed), picture(seed), picture(seed)) for seed in range(num_pairs)]
    train, held = TrainingData(pairs, [picture(0)]).split(share, seed=0)
    assert (len(train), len(held)) == expected
    names = {pair.name for pair in [*train, *held]}
    assert names == {pair.name for pair in pairs}
    if share > 0 and num_pairs > 1:
        assert not {pair.name for pair in train} & {pair.name for pair in held}


def test_painting_of_extreme_aspect_is_trained_on(data, perception):
    narrow = replace(data, paintings=[picture(1, 200, 8)])
    assert train_refiner(narrow, perception, SETTINGS, TrainingWatch()).curves


def test_paintings_are_scaled_to_the_longest_side_of_the_pictures(data):
    (painting,) = data.scaled_paintings()
    assert painting.shape == (1, 3, 40, 40)
