"""Adam on a quadratic."""

import torch

from stylecore.optimize.adam import ProjectedAdam
from stylecore.optimize.loop import minimize
from stylecore.optimize.watch import Watch
from stylecore.settings import OptimizeSettings
from stylecore.types import ImageBatch, PerImage


def test_adam_lowers_the_objective(quadratic, grey):
    settings = OptimizeSettings(optimizer="adam", num_evaluations=50)
    result = minimize(quadratic, grey, settings, Watch())
    assert (result.totals < 0.2 * quadratic(grey)).all()


def test_adam_stays_within_bounds(grey):
    rule = ProjectedAdam(grey, learning_rate=0.4)
    everybody = torch.ones(3, dtype=torch.bool)
    for _ in range(3):
        trial = rule.propose(torch.zeros(3), torch.ones_like(grey), everybody)
    assert torch.equal(trial, torch.zeros_like(grey))


def test_a_picture_that_is_not_active_takes_no_part(grey):
    rule = ProjectedAdam(grey, learning_rate=0.1)
    gradients = torch.ones_like(grey)
    gradients[1] = torch.nan
    trial = rule.propose(torch.zeros(3), gradients, torch.tensor([True, False, True]))
    assert torch.equal(trial[1], grey[1])
    assert (trial[[0, 2]] < 0.41).all()


def test_lbfgs_gets_further_than_adam_in_as_many_evaluations(grey):
    """Curvatures from 1 to 1,000 along directions that mix all pixels."""
    generator = torch.Generator().manual_seed(2)
    mixing = torch.linalg.qr(torch.randn(192, 192, generator=generator, dtype=torch.float64)).Q
    target = 0.1 + 0.8 * torch.rand(192, generator=generator, dtype=torch.float64)

    def coupled(images: ImageBatch) -> PerImage:
        errors = (images.flatten(1) - target) @ mixing
        return (torch.logspace(0, 3, 192, dtype=torch.float64) * errors**2).sum(dim=1)

    def reached(optimizer: str) -> float:
        settings = OptimizeSettings(optimizer=optimizer, num_evaluations=120)
        return minimize(coupled, grey[:1], settings, Watch()).totals.item()

    assert reached("lbfgs") < 0.25 * reached("adam")
