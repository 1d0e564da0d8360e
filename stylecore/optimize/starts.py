"""Where a minimisation begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch

from stylecore.images.codec import RgbImage, resample
from stylecore.images.color import match_color
from stylecore.images.tensors import to_batch
from stylecore.types import ImageBatch, Mask

_LEAST_SHARE: Final = 1e-12  # keeps places where no painting goes from dividing by zero
Init = Literal["content", "noise", "color-matched", "image"]


@dataclass(frozen=True, eq=False)
class StartInputs:
    """What a start can be made of.

    Attributes:
        styles: paintings, each of shape (1, 3, h, w) of any size, with their weights.
        image: the picture to start from, for ``image``.
        seed: for ``noise``.
        masks: where each painting goes, shape (1, 1, h, w), in [0, 1]; empty: all are everywhere.
    """

    styles: Sequence[tuple[ImageBatch, float]]
    image: RgbImage | None
    seed: int
    masks: Sequence[Mask] = ()


def make_start(init: Init, contents: ImageBatch, inputs: StartInputs) -> ImageBatch:
    """First pictures to evaluate, one for each content.

    Args:
        init: which kind.
        contents: shape (b, 3, h, w).
        inputs: what they are made of.

    Returns:
        Shape and device of ``contents``, in [0, 1].

    Raises:
        ValueError: ``image`` without an image.
    """
    return _STARTS[init](contents, inputs)


def _content(contents: ImageBatch, inputs: StartInputs) -> ImageBatch:
    del inputs
    return contents.clone()


def _noise(contents: ImageBatch, inputs: StartInputs) -> ImageBatch:
    """Uniform, the same for every picture of a size: its place in a batch must not matter."""
    # Drawn on the CPU, so that every device starts from the same picture.
    generator = torch.Generator().manual_seed(inputs.seed)
    noise = torch.rand(contents.shape[1:], generator=generator)
    return noise.to(contents).expand_as(contents).clone()


def _color_matched(contents: ImageBatch, inputs: StartInputs) -> ImageBatch:
    """The photographs in the colors of the style, by weight where there are several.

    With masks, by weight among those that are there; where none is, it is the photograph.
    """
    masks = inputs.masks or [contents.new_ones(1, 1, 1, 1)] * len(inputs.styles)
    shares = [mask * weight for mask, (_, weight) in zip(masks, inputs.styles, strict=True)]
    cover = torch.cat(list(masks)).amax(dim=0)
    scale = cover / torch.cat(shares).sum(dim=0).clamp(min=_LEAST_SHARE)
    matched = contents * (1 - cover)
    for (style, _), share in zip(inputs.styles, shares, strict=True):
        matched += match_color(contents, style) * (share * scale)
    return matched


def _given(contents: ImageBatch, inputs: StartInputs) -> ImageBatch:
    """The given picture, resized to each content: it may come from a smaller run."""
    if inputs.image is None:
        raise ValueError("init: image needs the picture that init_uri names")
    height, width = contents.shape[-2:]
    image = inputs.image
    if image.shape[:2] != (height, width):
        image = resample(image, width, height)
    return to_batch([image]).to(contents).expand_as(contents).clone()


_STARTS: Final[Mapping[Init, Callable[[ImageBatch, StartInputs], ImageBatch]]] = {
    "content": _content,
    "noise": _noise,
    "color-matched": _color_matched,
    "image": _given,
}
