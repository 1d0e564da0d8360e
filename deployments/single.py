"""``image``: one photograph, one picture, without a ledger or Prefect."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from deployments.console import new_progress, say
from stylecore.batch.store import Store
from stylecore.batch.uris import absolute, check_uri, parent
from stylecore.config import StylizeJob, pixel_settings
from stylecore.errors import InternalError, JobError, RowError
from stylecore.images.codec import RgbImage, decode_image, encode_image
from stylecore.images.resize import resize_content
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Content
from tasks.painting import LoadedStyle, open_painter
from tasks.preparing import decode_limits, read_input
from tasks.shard_book import score_figures

if TYPE_CHECKING:
    from stylecore.types import PerImage

_FORMATS: Final = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".webp": "webp",
}


def image_options(content: str, styles: Sequence[str], output: str) -> dict[str, Any]:
    """The request as fields of a job; several styles make one picture.

    Raises:
        JobError: the output's suffix is none that we write.
    """
    suffix = "." + output.rpartition(".")[2].lower()
    if suffix not in _FORMATS:
        raise JobError(f"--output {output}: its suffix must be one of {', '.join(_FORMATS)}")
    return {
        "manifest_uri": content,
        "styles": list(styles),
        "output_uri": output,
        "output": {"format": _FORMATS[suffix]},
    }


def make_image(job: StylizeJob, *, as_json: bool) -> None:
    """Make one picture with a progress bar, write it, and say how it came out.

    Raises:
        JobError: an input cannot be read, or the output cannot be written.
        RowError: the picture cannot be made.
    """
    started = time.perf_counter()
    store = Store()
    output_uri = check_uri(absolute(job.output_uri))
    store.check_writable(parent(output_uri))
    content = resize_content(_read_picture(store, job, job.manifest_uri), job.max_side_px)
    paintings = [(_read_picture(store, job, s.uri), s.weight or 1.0) for s in job.styles]
    figures = _stylize(store, job, content, LoadedStyle("", "", paintings))
    figures["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        say(json.dumps({"output": output_uri, **figures, "settings": pixel_settings(job)}))
        return
    size = f"{figures['width_px']} x {figures['height_px']}"
    loss = figures.get("total_loss")
    objective = f", objective {loss:.3f}" if isinstance(loss, float) else ""
    say(f"{output_uri}: {size}, {figures['seconds']:.1f} s{objective}")


def _read_picture(store: Store, job: StylizeJob, uri: str) -> RgbImage:
    data = read_input(store, "image", uri, job.limits.max_bytes)
    try:
        return decode_image(data, uri, decode_limits(job))
    except RowError as error:
        raise JobError(str(error)) from error


def _stylize(
    store: Store, job: StylizeJob, content: RgbImage, style: LoadedStyle
) -> dict[str, Any]:
    """Make and write the picture; its figures are those of the file as it was written."""
    with new_progress() as progress:
        num_evaluations = job.optimize.num_evaluations or 0
        bar = progress.add_task("stylizing", total=num_evaluations, counts="loading")

        def show(evaluation: int, totals: PerImage) -> None:
            counts = f"{evaluation}/{num_evaluations}, objective {float(totals[0]):.2f}"
            progress.update(bar, completed=evaluation, counts=counts)

        with open_painter(store, job, style, Watch(on_evaluation=show)) as painter:
            stylized = next(iter(painter.stylizer.stylize([Content(0, content)])))
            if stylized.pixels is None:
                raise stylized.error or InternalError(job.manifest_uri, "no picture was made")
            data = encode_image(stylized.pixels, job.output)
            store.write_bytes(job.output_uri, data)
            picture = decode_image(data, job.output_uri, decode_limits(job))
            scores = score_figures(painter.stylizer.score(content, picture))
    return {
        "width_px": picture.shape[1],
        "height_px": picture.shape[0],
        "evaluations": stylized.evaluations,
        **scores,
        "device": painter.device,
    }
