"""A style made ready: its paintings read, its stylizer built, its device held."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stylecore.batch.ledger import PlannedStyle
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.images.codec import decode_image
from stylecore.optimize.watch import Watch
from stylecore.stylizer import StylePainting, Stylizer, StylizerInputs, build_stylizer
from tasks.devices import device_slot
from tasks.input_files import MAX_WEIGHTS_BYTES, digest_inputs, read_input_files
from tasks.preparing import decode_limits
from tasks.style_files import check_known, decode_style, is_painted, read_style_files, style_digest


@dataclass(frozen=True, slots=True)
class LoadedStyle:
    """Paintings with their shares and masks, at full size."""

    name: str
    digest: str
    paintings: Sequence[StylePainting]


@dataclass(frozen=True, slots=True)
class Painter:
    """A stylizer and where it computes."""

    stylizer: Stylizer
    device: str | None = None
    inputs_digest: str = ""


def load_style(store: Store, job: StylizeJob, style: PlannedStyle) -> LoadedStyle:
    """Read and decode a style's paintings and their masks.

    Raises:
        RowError: a painting that a row named cannot be read, or the generator does not know it.
        JobError: one of the job's own paintings is no longer what was planned.
    """
    limits = decode_limits(job)
    most = limits.max_bytes if is_painted(job, style.style()) else MAX_WEIGHTS_BYTES
    files, masks = read_style_files(style.style(), lambda uri: store.read_bytes(uri, most)[0])
    digest = style_digest(files, style.weights, masks)
    if style.digest not in (None, digest):
        raise JobError(
            f"{style.style().uri}: the painting or its mask changed after the run was planned. "
            "Start the job again: the new one makes a new run."
        )
    check_known(job, style.style(), files, read_input_files(store, job).get("generator"))
    if not is_painted(job, style.style()):
        return LoadedStyle(style.name, digest, [])
    paintings = decode_style(style.style(), files, masks, limits)
    return LoadedStyle(style.name, digest, paintings)


@contextmanager
def open_painter(
    store: Store, job: StylizeJob, style: LoadedStyle, watch: Watch
) -> Iterator[Painter]:
    """Hold a device and build the style's stylizer on it; ``identity`` needs neither."""
    if job.method == "identity":
        yield Painter(build_stylizer(job, style.paintings, watch=watch))
        return
    with device_slot(job.device, watch.check_stop) as device:
        here = job.model_copy(update={"device": device})
        files = read_input_files(store, job)
        init = None
        if "init_uri" in files:
            uri = str(job.optimize.init_uri)
            init = decode_image(files["init_uri"], uri, decode_limits(job))
        networks = (files.get("refine"), files.get("generator"))
        inputs = StylizerInputs(files.get("encoder_weights_uri"), init, *networks)
        stylizer = build_stylizer(here, style.paintings, inputs, watch)
        yield Painter(stylizer, device, digest_inputs(job, files))
        if device != "cpu":
            gc.collect()  # what a style leaves on the device is in cycles, and the next needs room
