"""What ``study_gan.py`` holds against the refiner: changes that nobody had to train.

A change has ``residual``, as the refiner has, so that the same strengths and the same gate apply.
"""

from dataclasses import dataclass

from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from stylecore.config import StylizeJob
from stylecore.images.codec import RgbImage
from stylecore.images.color import luminance_of, match_color
from stylecore.optimize.watch import Watch
from stylecore.perception.encoder import Encoder
from stylecore.stylizer.optimize import OptimizeStylizer
from stylecore.stylizer.protocol import Content, StylePainting, StylizerInputs
from stylecore.training.data import PicturePair
from stylecore.types import ImageBatch

_BLUR_PX = 8.0
_KERNEL_PX = 49  # three deviations to either side


def blur(picture: Tensor) -> Tensor:
    """Large areas: Gaussian, deviation 8 px."""
    blurred: Tensor = gaussian_blur(picture, [_KERNEL_PX, _KERNEL_PX], [_BLUR_PX, _BLUR_PX])
    return blurred


@dataclass(frozen=True)
class ColorMatch:
    """The painting's palette: its mean and covariance of colors."""

    painting: ImageBatch

    def residual(self, stylized: ImageBatch, _content: ImageBatch) -> Tensor:
        return match_color(stylized, self.painting) - stylized


class Contrast:
    """Twice the contrast of large areas: detail becomes smaller in units of the whole."""

    def residual(self, stylized: ImageBatch, _content: ImageBatch) -> Tensor:
        areas = blur(luminance_of(stylized))
        return areas - areas.mean(dim=(2, 3), keepdim=True)


def optimize_further(
    job: StylizeJob, painting: RgbImage, pair: PicturePair, encoder: Encoder
) -> RgbImage:
    """As many evaluations as the job has, again, from its finished picture."""
    start = {"init": "image", "init_uri": "the finished picture"}
    optimize = type(job.optimize).model_validate(job.optimize.model_dump() | start)
    inputs = StylizerInputs(init=pair.stylized)
    styles = [StylePainting(painting)]
    stylizer = OptimizeStylizer(
        job.model_copy(update={"optimize": optimize}), styles, inputs, Watch(), encoder
    )
    (made,) = stylizer.stylize([Content(0, pair.content)])
    if made.pixels is None:
        raise SystemExit(f"{pair.name}: {made.error}")
    return made.pixels
