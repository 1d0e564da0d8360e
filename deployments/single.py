"""``image``: one photograph, one picture, without a ledger or Prefect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

from deployments.console import new_progress, say
from stylecore.batch.estimate import evaluations_each
from stylecore.batch.fingerprint import Style
from stylecore.batch.store import Store
from stylecore.batch.uris import absolute, check_uri, join_uri, parent
from stylecore.config import StylizeJob
from stylecore.errors import InternalError, JobError, RowError
from stylecore.images.codec import GrayImage, RgbImage, decode_image, encode_image
from stylecore.images.masks import decode_mask
from stylecore.optimize.watch import Watch
from stylecore.pixel_settings import pixel_settings
from stylecore.stylizer import Content, StylePainting
from stylecore.stylizer.protocol import content_at
from tasks.input_files import read_input, whole_inputs
from tasks.painting import LoadedStyle, open_painter
from tasks.preparing import decode_limits
from tasks.reading import OUTPUT_LIMITS
from tasks.shard_book import refinement_figures, score_figures
from tasks.style_files import decode_style, read_style_files, style_source

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


def make_image(job: StylizeJob, masks: Sequence[str] = (), *, as_json: bool) -> None:
    """Make one picture with a progress bar, write it, and say how it came out.

    Args:
        job: the photograph as its manifest, and one style.
        masks: where each painting goes, in their order; an empty one is everywhere, and none at
            all means that several paintings are blended.
        as_json: whether to say it as one JSON object.

    Raises:
        JobError: an input cannot be read, or the output cannot be written.
        RowError: the picture cannot be made.
    """
    started = time.perf_counter()
    store = Store()
    output_uri = check_uri(absolute(job.output_uri))
    store.check_writable(parent(output_uri))
    job = job.model_copy(update={**whole_inputs(job), "output_uri": output_uri})
    try:
        content = _read_content(store, job, masks)
        paintings = _read_paintings(store, job)
    except RowError as error:
        raise JobError(str(error)) from error
    figures = _stylize(store, job, content, LoadedStyle("", "", paintings))
    figures["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        say(json.dumps({"output": output_uri, **figures, "settings": pixel_settings(job)}))
        return
    size = f"{figures['width_px']} x {figures['height_px']}"
    loss = figures.get("total_loss")
    objective = f", objective {loss:.3f}" if isinstance(loss, float) else ""
    say(f"{output_uri}: {size}, {figures['seconds']:.1f} s{objective}")


def _read_content(store: Store, job: StylizeJob, masks: Sequence[str]) -> Content:
    if masks and (job.cascade or job.generator is not None):
        raise JobError("--mask: a cascade takes no masks, and neither does a generator")
    if len(masks) not in (0, len(job.styles)):
        raise JobError(
            f"--mask: {len(masks)} for {len(job.styles)} paintings. Give one for each painting, in "
            'their order; "" is everywhere.'
        )
    limits = decode_limits(job)
    data = read_input(store, "image", job.manifest_uri, limits.max_bytes)
    image = decode_image(data, job.manifest_uri, limits)

    def read_mask(uri: str) -> GrayImage | None:
        if not uri:
            return None
        data = read_input(store, "mask", uri, limits.max_bytes)
        return decode_mask(data, uri, limits, image.shape[:2], "photograph")

    return content_at(Content(0, image, tuple(map(read_mask, masks))), job.max_side_px)


def _read_paintings(store: Store, job: StylizeJob) -> list[StylePainting]:
    style, limits = Style("", *style_source(job.styles)), decode_limits(job)
    files, masks = read_style_files(
        style, lambda uri: read_input(store, "image", uri, limits.max_bytes)
    )
    return decode_style(style, files, masks, limits)


def _stylize(store: Store, job: StylizeJob, content: Content, style: LoadedStyle) -> dict[str, Any]:
    """Make and write the picture; its figures are those of the file as it was written."""
    with _shown(store, job) as watch, open_painter(store, job, style, watch) as painter:
        stylized = next(iter(painter.stylizer.stylize([content])))
        if stylized.pixels is None:
            raise stylized.error or InternalError(job.manifest_uri, "no picture was made")
        data = encode_image(stylized.pixels, job.output)
        store.write_bytes(job.output_uri, data)
        picture = decode_image(data, job.output_uri, OUTPUT_LIMITS)
        scores = score_figures(painter.stylizer.score(content, picture))
    return {
        "width_px": picture.shape[1],
        "height_px": picture.shape[0],
        "evaluations": stylized.evaluations,
        **scores,
        **refinement_figures(stylized.refinement),
        "device": painter.device,
    }


@contextmanager
def _shown(store: Store, job: StylizeJob) -> Iterator[Watch]:
    """A progress bar, and the intermediate pictures beside the output."""
    total = evaluations_each(job)
    folder, _, suffix = job.output_uri.rpartition(".")
    numbers = count(1)

    def save_step(_: int, evaluations: int, pixels: RgbImage) -> None:
        uri = join_uri(f"{folder}-timelapse", f"{evaluations:05d}.{suffix}")
        store.write_bytes(uri, encode_image(pixels, job.output))

    with new_progress() as progress:
        bar = progress.add_task("stylizing", total=total, counts="loading")

        def show(_: int, __: int, objective: float) -> None:
            number = next(numbers)
            counts = f"{number}/{total}, objective {objective:.2f}"
            progress.update(bar, completed=number, counts=counts)

        yield Watch(on_evaluation=show, save_every=job.output.save_every, on_picture=save_step)
