"""What says how good a translator is, where there are no pairs."""

from statistics import fmean

import numpy as np
import pytest
import torch
from torch import nn
from training_jobs import Distance

from stylecore.images.tensors import from_batch, to_batch
from stylecore.metrics.frechet import Gaussian, average_moments
from stylecore.metrics.sets import SetFeatures
from stylecore.training.translator_validation import TranslatorValidation, TranslatorValidator


def picture(seed: int, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, (40, 36, 3), dtype=np.uint8)


class Copy(nn.Module):
    def forward(self, photographs: torch.Tensor) -> torch.Tensor:
        return photographs


class Darken(nn.Module):
    def forward(self, photographs: torch.Tensor) -> torch.Tensor:
        return photographs / 4


PHOTOGRAPHS = [picture(seed) for seed in range(6)]
EXAMPLES = [picture(seed, 64) for seed in range(10, 13)]


@pytest.fixture
def validator(tiny_encoder) -> TranslatorValidator:
    return TranslatorValidator(PHOTOGRAPHS, EXAMPLES, tiny_encoder, Distance())


def test_the_distance_is_that_of_all_pictures_together_from_all_examples(validator, tiny_encoder):
    found = validator.validate(Darken(), 5)
    features = SetFeatures(tiny_encoder)
    moments = [features.moments(to_batch([one]) / 4) for one in PHOTOGRAPHS]
    reference = average_moments([features.moments(to_batch([one])) for one in EXAMPLES])
    expected = Gaussian.fit(reference).distance(average_moments(moments))
    assert found.fd_vgg == pytest.approx(expected)
    changes = [(to_batch([one]) * 0.75).mean().item() for one in PHOTOGRAPHS]
    assert found.lpips == pytest.approx(fmean(changes), rel=1e-5)
    assert (found.step, found.pictures) == (5, 6)


def test_a_copy_is_as_far_from_the_examples_as_the_photographs_are(validator):
    found = validator.validate(Copy(), 1)
    assert found.lpips == 0
    assert found.fd_vgg == pytest.approx(found.fd_vgg_before)
    assert validator.validate(Darken(), 1).fd_vgg < found.fd_vgg_before


def test_what_is_most_like_the_examples_is_best_and_of_these_what_is_most_like_the_photographs():
    def score(fd_vgg: float, lpips: float) -> tuple[float, float]:
        return TranslatorValidation(1, fd_vgg, 1.0, lpips, 1, []).score

    assert max(score(1.0, 0.0), score(0.2, 0.3), score(0.2, 0.2)) == score(0.2, 0.2)


def test_samples_are_the_first_few_beside_what_became_of_them(validator):
    samples = validator.validate(Darken(), 1).samples
    assert len(samples) == 4
    np.testing.assert_array_equal(samples[0][0], PHOTOGRAPHS[0])
    np.testing.assert_array_equal(samples[0][1], from_batch(to_batch([PHOTOGRAPHS[0]]) / 4)[0])
