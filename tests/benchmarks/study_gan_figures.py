"""The figures of ``study_gan.py``: what the gate looks at, and what it never sees."""

from collections.abc import Sequence

from study_gan_controls import blur
from torch import nn

from stylecore.images.color import luminance_of
from stylecore.metrics.texture import TextureMeasures
from stylecore.refine.measures import GateMeasures
from stylecore.types import ImageBatch

HELD_OUT_SEEDS = (1, 2)

Figures = dict[str, float]


class FigureMaker:
    """Measures pictures in one style.

    Figures are ``fdrl``, ``lpips`` and ``ssim``, which the gate looks at; ``fdrl_1`` and
    ``fdrl_2``, the same with random networks that it does not know; ``swdl``; and ``blind``,
    which is swdL of detail alone, in units of its own deviation: contrast of large areas does
    not change it.
    """

    def __init__(self, paintings: Sequence[ImageBatch], lpips: nn.Module) -> None:
        self.paintings = paintings
        self.texture = TextureMeasures(paintings)
        self._gate = GateMeasures(self.texture, lpips)
        self._others = {seed: TextureMeasures(paintings, seed) for seed in HELD_OUT_SEEDS}
        self._blind = TextureMeasures([_detail(painting) for painting in paintings])

    def measure(self, picture: ImageBatch, content: ImageBatch) -> Figures:
        """All figures of a picture of shape (1, 3, h, w)."""
        seen = self._gate.measure(picture, content)
        others = {f"fdrl_{seed}": one.fdrl(picture) for seed, one in self._others.items()}
        return {
            "fdrl": seen.fdrl,
            "lpips": seen.lpips,
            "ssim": seen.ssim or 0.0,
            "swdl": self.texture.swdl(picture),
            "blind": self._blind.swdl(_detail(picture)),
            **others,
        }


def _detail(picture: ImageBatch) -> ImageBatch:
    """Luminance without large areas, as a gray picture around 0."""
    luminance = luminance_of(picture)
    return (luminance - blur(luminance)).expand(-1, 3, -1, -1)
