"""What the dashboard shows of a training fits into it."""

import numpy as np
import pytest
from local_jobs import LocalBucket
from training_jobs import training_job

from stylecore.batch.store import Store
from stylecore.refine.gate import GateChoice, GateFigures
from stylecore.training.curves import CurvePoint
from stylecore.training.validation import RefinerValidation
from tasks.preparing_training import prepare_training
from tasks.publish_training import training_markdown
from tasks.training import Interim
from tasks.training_stage import Stage


def noise(seed: int, side_px: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)


@pytest.mark.parametrize(("side_px", "shown"), [(32, {4}), (1024, {1, 2, 3})])
def test_markdown_has_figures_curves_and_samples_as_far_as_they_fit(
    bucket: LocalBucket, side_px: int, shown: set[int]
) -> None:
    bucket.fill(1)
    folder = prepare_training(Store(), training_job(bucket))
    losses = np.random.default_rng(0).random((500, 6)).tolist()
    names = ("adversary", "discriminator", "content", "style", "residual", "structure")
    points = tuple(
        CurvePoint(step=n, values=dict(zip(names, values, strict=True)))
        for n, values in enumerate(losses, start=1)
    )
    figures = GateFigures(fdrl=1.0, lpips=0.5, ssim=0.5)
    samples = [[noise(3 * n + k, side_px) for k in range(3)] for n in range(4)]
    validation = RefinerValidation(4, [GateChoice(0.0, figures, figures)], 0.5, samples)
    text = training_markdown(folder, Interim(points, validation))
    assert len(text) < 100_000
    assert "# After step 4 of 4" in text
    assert "| strength | 0.5 |" in text
    assert text.count("![curves](data:image/webp;base64,") == 1
    assert text.count("![sample](data:image/webp;base64,") in shown


def test_stage_counts_steps_in_words() -> None:
    assert Stage("training", 600, 120, "style 0.9").counts() == "120/600 style 0.9"
