"""What people look at after a training: its curves, and pictures side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from stylecore.images.codec import RgbImage
from stylecore.training.curves import CurvePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLAYERS: Final = ("adversary", "discriminator")
_SHARES: Final = ("success", "is_paused")
_SIZE_INCHES: Final = (9.0, 3.6)
_DOTS_PER_INCH: Final = 80  # as wide as a dashboard shows it
_GAP_PX: Final = 8


def draw_curves(points: Sequence[CurvePoint]) -> bytes:
    """Losses over steps as an SVG file.

    On the left is the game, on the right what else the generator lowers.

    Args:
        points: in order; may be empty.
    """
    sink = io.BytesIO()
    _plot_curves(points).savefig(sink, format="svg")
    return sink.getvalue()


def rasterize_curves(points: Sequence[CurvePoint]) -> RgbImage:
    """The same drawing as pixels, shape (288, 720, 3)."""
    sink = io.BytesIO()
    _plot_curves(points).savefig(sink, format="rgba")
    width, height = (round(side * _DOTS_PER_INCH) for side in _SIZE_INCHES)
    pixels = np.frombuffer(sink.getvalue(), dtype=np.uint8).reshape(height, width, 4)
    return pixels[..., :3].copy()


def _plot_curves(points: Sequence[CurvePoint]) -> Figure:
    # As objects, not with pyplot: that is not for threads.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    game, others = figure.subplots(1, 2)
    names = list(dict.fromkeys(name for point in points for name in point.values))
    _plot(game, points, [name for name in names if name in _PLAYERS])
    _plot(others, points, [name for name in names if name not in (*_PLAYERS, *_SHARES)])
    game.set_title("the game")
    others.set_title("what else the generator lowers")
    return figure


def _plot(axes: Axes, points: Sequence[CurvePoint], names: Sequence[str]) -> None:
    for name in names:
        known = [point for point in points if name in point.values]
        steps = [point.step for point in known]
        axes.plot(steps, [point.values[name] for point in known], label=name, linewidth=1)
    axes.set_xlabel("step")
    axes.set_ylabel("weighted loss")
    if names:
        axes.legend(frameon=False, fontsize="small")


def lay_side_by_side(pictures: Sequence[RgbImage]) -> RgbImage:
    """Pictures of one height from left to right, with white between them.

    Args:
        pictures: at least one, each of shape (h, w, 3).

    Returns:
        Shape (h, sum of widths and gaps, 3).
    """
    gap = np.full((pictures[0].shape[0], _GAP_PX, 3), 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)
