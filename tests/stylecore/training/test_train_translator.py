"""Training a translator: it learns, resumes to the bit, keeps the best, and says what it is."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from training_jobs import Distance

from stylecore.errors import JobError, RunStoppedError
from stylecore.generate.files import load_generator, save_generator
from stylecore.training.refiner import Perception
from stylecore.training.translator import TranslatorData, train_translator
from stylecore.training.translator_settings import TrainTranslatorSettings
from stylecore.training.watch import TrainingWatch

SETTINGS = TrainTranslatorSettings(
    num_steps=6,
    batch_size=2,
    crop_px=32,
    width=4,
    num_blocks=2,
    num_patches=16,
    num_validations=3,
    num_validation_photographs=1,
    seed=3,
)


@pytest.fixture
def perception(tiny_encoder) -> Perception:
    return Perception(tiny_encoder, Distance())


def picture(seed: int, height: int = 40, width: int = 36, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def data() -> TranslatorData:
    photographs = [picture(seed) for seed in range(4)]
    return TranslatorData(photographs, [picture(90, high=90), picture(91, 64, 50, 90)], 40, "CC0")


def are_equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def checkpoint_after(
    step: int, data: TranslatorData, perception: Perception, settings: TrainTranslatorSettings
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
        train_translator(data, perception, settings, watch)
    return kept[-1]


@pytest.mark.parametrize(
    "changes", [{}, {"identity_weight": 1.0, "adversary_view": "colors", "adversary": "hinge"}]
)
@pytest.mark.parametrize("step", [1, 3])
def test_a_resumed_training_gives_the_weights_of_an_uninterrupted_one(
    data, perception, step, changes
):
    settings = SETTINGS.model_copy(update=changes)
    whole = train_translator(data, perception, settings, TrainingWatch())
    checkpoint = checkpoint_after(step, data, perception, settings)
    resumed = train_translator(data, perception, settings, TrainingWatch(), checkpoint)
    assert are_equal(whole.generator.state_dict(), resumed.generator.state_dict())
    assert whole.curves == resumed.curves
    assert whole.card == resumed.card


def test_unseen_photographs_become_like_the_examples_and_the_best_weights_are_kept(
    data, perception
):
    seen: list[float] = []
    watch = TrainingWatch(on_validation=lambda found: seen.append(-found.score[0]))
    settings = SETTINGS.model_copy(update={"num_steps": 60, "num_validations": 10})
    trained = train_translator(data, perception, settings, watch)
    assert min(seen) < seen[0]
    assert trained.validation.fd_vgg == pytest.approx(min(seen), rel=1e-5)


def test_the_card_says_what_was_learned_and_the_file_is_a_generator(data, perception):
    trained = train_translator(data, perception, SETTINGS, TrainingWatch())
    card = trained.card
    assert (card.kind, card.num_photographs, card.num_examples) == ("translator", 4, 2)
    assert (card.max_side_px, card.license, card.settings["seed"]) == (40, "CC0", 3)
    assert card.metrics == trained.validation.figures()
    generator, read = load_generator(save_generator(trained.generator, card), "here")
    assert read == card
    assert generator.num_styles == 1  # and the heads are not in the file


def test_samples_are_photographs_that_training_does_not_see(data, perception):
    trained = train_translator(data, perception, SETTINGS, TrainingWatch())
    train, held = data.split(1, 3)
    assert len(train) == 3
    ((photograph, translated),) = trained.validation.samples
    np.testing.assert_array_equal(photograph, held[0])
    assert translated.shape == photograph.shape


@pytest.mark.parametrize("kind", ["photographs", "examples"])
def test_a_checkpoint_of_other_pictures_is_refused(data, perception, kind):
    checkpoint = checkpoint_after(2, data, perception, SETTINGS)
    pictures = {"photographs": data.photographs, "examples": data.examples}
    pictures[kind] = pictures[kind][:-1]
    other = TranslatorData(**pictures, max_side_px=40, license="CC0")
    with pytest.raises(JobError, match=f"{kind} changed"):
        train_translator(other, perception, SETTINGS, TrainingWatch(), checkpoint)


@pytest.mark.parametrize(
    ("photographs", "examples", "words"),
    [
        ([], [picture(1)], "nothing to translate from"),
        ([picture(1)], [], "nothing to translate to"),
        ([picture(1, 8, 40)], [picture(1)], "40 x 8 px"),
        ([picture(1)], [picture(1, 8, 40)], "40 x 8 px"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(perception, photographs, examples, words):
    data = TranslatorData(photographs, examples, 40)
    with pytest.raises(JobError, match=words):
        train_translator(data, perception, SETTINGS, TrainingWatch())
