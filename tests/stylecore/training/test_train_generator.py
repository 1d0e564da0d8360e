"""Training a generator: it learns, resumes to the bit, keeps the best, and says what it is."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from stylecore.errors import JobError, RunStoppedError
from stylecore.generate.files import load_generator, save_generator
from stylecore.training.generator import (
    GeneratorData,
    StyleImage,
    TrainedGenerator,
    train_generator,
)
from stylecore.training.refiner import Perception
from stylecore.training.settings import TrainGeneratorSettings
from stylecore.training.watch import TrainingWatch

SETTINGS = TrainGeneratorSettings(
    num_steps=6,
    batch_size=2,
    crop_px=32,
    width=4,
    num_blocks=1,
    num_validations=3,
    num_validation_photographs=1,
    seed=3,
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
def data() -> GeneratorData:
    styles = [
        StyleImage("wave", "a" * 64, picture(90, 64, 50)),
        StyleImage("sea", "b" * 64, picture(91)),
    ]
    return GeneratorData([picture(seed) for seed in range(4)], styles, 40, "CC0")


def are_equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def checkpoint_after(
    step: int, data: GeneratorData, perception: Perception, settings: TrainGeneratorSettings
) -> bytes:
    """Kill a training after a step, by its stop flag."""
    steps: list[int] = []
    kept: list[bytes] = []
    watch = TrainingWatch(
        on_step=lambda number, _: steps.append(number),
        on_checkpoint=kept.append,
        should_stop=lambda: len(steps) >= step,
    )
    with pytest.raises(RunStoppedError):
        train_generator(data, perception, settings, watch)
    return kept[-1]


def train(data: GeneratorData, perception: Perception, **changes: object) -> TrainedGenerator:
    settings = SETTINGS.model_copy(update=changes)
    return train_generator(data, perception, settings, TrainingWatch())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("adversary_weight", [0.0, 0.1])
@pytest.mark.parametrize("step", [1, 3])
def test_a_resumed_training_gives_the_weights_of_an_uninterrupted_one(
    data, perception, step, adversary_weight, precision, monkeypatch
):
    monkeypatch.setattr("stylecore.training.generator.fastest_precision", lambda _: precision)
    settings = SETTINGS.model_copy(update={"adversary_weight": adversary_weight})
    whole = train_generator(data, perception, settings, TrainingWatch())
    checkpoint = checkpoint_after(step, data, perception, settings)
    resumed = train_generator(data, perception, settings, TrainingWatch(), checkpoint)
    assert are_equal(whole.generator.state_dict(), resumed.generator.state_dict())
    assert whole.curves == resumed.curves


def test_the_objective_on_unseen_photographs_goes_down(data, perception):
    seen: list[float] = []
    watch = TrainingWatch(on_validation=lambda found: seen.append(-found.score[0]))
    settings = SETTINGS.model_copy(update={"num_steps": 60, "num_validations": 10})
    trained = train_generator(data, perception, settings, watch)
    assert seen[-1] < seen[0]
    assert trained.validation.total == pytest.approx(min(seen), rel=1e-5)


def test_the_card_says_what_was_learned_and_a_file_of_it_can_be_read(data, perception):
    trained = train(data, perception)
    card = trained.card
    assert [style.name for style in card.styles] == ["wave", "sea"]
    assert (card.num_photographs, card.max_side_px, card.license) == (4, 40, "CC0")
    assert card.metrics["pictures"] == 2  # one photograph in two styles
    assert card.settings["seed"] == 3
    _, read = load_generator(save_generator(trained.generator, card), "here")
    assert read == card


def test_samples_are_photographs_that_training_does_not_see(data, perception):
    trained = train(data, perception)
    _, held = data.split(1, 3)
    ((photograph, generated),) = trained.validation.samples
    np.testing.assert_array_equal(photograph, held[0])
    assert generated.shape == photograph.shape


def test_a_checkpoint_of_other_photographs_is_refused(data, perception):
    checkpoint = checkpoint_after(2, data, perception, SETTINGS)
    other = GeneratorData(data.photographs[:3], data.styles, 40, "CC0")
    with pytest.raises(JobError, match="photographs changed"):
        train_generator(other, perception, SETTINGS, TrainingWatch(), checkpoint)


@pytest.mark.parametrize(
    ("photographs", "styles", "words"),
    [
        ([], [StyleImage("s", "a" * 64, picture(1))], "at least one photograph"),
        ([picture(1)], [], "at least one painting"),
        ([picture(1, 8, 40)], [StyleImage("s", "a" * 64, picture(1))], "40 x 8 px"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(perception, photographs, styles, words):
    with pytest.raises(JobError, match=words):
        train(GeneratorData(photographs, styles, 40), perception)
