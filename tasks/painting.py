"""A style made ready: its paintings read, its stylizer built, its device held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stylecore.batch.ledger import PlannedStyle
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.images.codec import RgbImage, decode_image
from stylecore.optimize.watch import Watch
from stylecore.stylizer import Stylizer, StylizerInputs, build_stylizer
from tasks.devices import device_slot
from tasks.preparing import decode_limits, read_input, style_digest


@dataclass(frozen=True, slots=True)
class LoadedStyle:
    """Paintings with their shares, at full size."""

    name: str
    digest: str
    paintings: Sequence[tuple[RgbImage, float]]


@dataclass(frozen=True, slots=True)
class Painter:
    """A stylizer and where it computes."""

    stylizer: Stylizer
    device: str | None


def load_style(store: Store, job: StylizeJob, style: PlannedStyle) -> LoadedStyle:
    """Read and decode a style's paintings.

    Raises:
        RowError: a painting that a row named cannot be read.
        JobError: one of the job's own paintings is no longer what was planned.
    """
    limits = decode_limits(job)
    files = [store.read_bytes(uri, limits.max_bytes)[0] for uri in style.uris]
    digest = style_digest(files, style.weights)
    if style.digest not in (None, digest):
        raise JobError(
            f"{style.style().uri}: the painting changed after the run was planned. "
            "Start the job again: the new painting makes a new run."
        )
    images = [decode_image(data, uri, limits) for data, uri in zip(files, style.uris, strict=True)]
    return LoadedStyle(style.name, digest, list(zip(images, style.weights, strict=True)))


@contextmanager
def open_painter(
    store: Store, job: StylizeJob, style: LoadedStyle, watch: Watch
) -> Iterator[Painter]:
    """Hold a device and build the style's stylizer on it; ``identity`` needs neither."""
    if job.method == "identity":
        yield Painter(build_stylizer(job, style.paintings, watch=watch), None)
        return
    with device_slot(job.device) as device:
        here = job.model_copy(update={"device": device})
        inputs = read_inputs(store, job)
        yield Painter(build_stylizer(here, style.paintings, inputs, watch), device)


def read_inputs(store: Store, job: StylizeJob) -> StylizerInputs:
    """The files, besides paintings, that a job's settings name.

    Raises:
        JobError: one of them cannot be read.
    """
    settings = job.optimize
    weights = init = None
    if settings.encoder_weights_uri is not None:
        weights = read_input(store, "encoder weights", settings.encoder_weights_uri)
    if settings.init_uri is not None:
        data = read_input(store, "init picture", settings.init_uri)
        init = decode_image(data, settings.init_uri, decode_limits(job))
    return StylizerInputs(weights, init)
