"""An inbox: which uploads are styles, settings and photographs, and what is to be done with them.

    <inbox>/styles/<style>.jpg      the painting
    <inbox>/styles/<style>.yaml     settings of that style, where they are not those of all
    <inbox>/<style>/...             photographs

All of it is decided from listings, and from the bytes of the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from pydantic import Field, ValidationError

from stylecore.batch.faults import job_errors
from stylecore.batch.objects import ObjectInfo
from stylecore.batch.uris import AllowList, bucket_or_folder, check_folder, check_uri, resolve
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from stylecore.presets import Preset
from stylecore.settings import PER_IMAGE, FrozenModel, at_position
from stylecore.yaml_text import load_yaml

STYLES_FOLDER: Final = "styles"
_PAINTING_SUFFIXES: Final = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif")
)
_SETTINGS_SUFFIX: Final = ".yaml"
# What changes pixels; where things are, and what they may cost, is not for the inbox to say.
_STYLE_SETTINGS: Final = (
    "preset",
    "max_side_px",
    "method",
    "optimize",
    "refine",
    "seed",
    "output",
)
_ERRORS_SHOWN: Final = 4


class UploadsJob(FrozenModel):
    """Which inbox to stylize, to where, and how."""

    inbox_uri: str = Field(
        min_length=1,
        description="Bucket or folder with styles/<style>.jpg and <style>/<photographs>.",
        json_schema_extra=at_position(0),
    )
    output_uri: str = Field(
        min_length=1, description="Folder for pictures and runs.", json_schema_extra=at_position(1)
    )
    preset: Preset = Field(
        "standard",
        description="How far to go, for styles whose settings do not say.",
        json_schema_extra=at_position(2),
    )
    max_side_px: int = Field(
        512,
        ge=16,
        le=8192,
        description="Longest side of a picture, for styles whose settings do not say.",
        json_schema_extra=at_position(3),
    )
    allow: tuple[str, ...] = Field(
        (),
        description="Prefixes that the settings of styles may name files in, besides the inbox.",
        json_schema_extra=at_position(4),
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where to compute: auto, cpu, cuda or cuda:N.",
        json_schema_extra=at_position(5),
    )


@dataclass(slots=True)
class StyleUploads:
    """What an inbox has of one style."""

    name: str
    paintings: list[ObjectInfo] = field(default_factory=list)
    settings: ObjectInfo | None = None
    photographs: list[ObjectInfo] = field(default_factory=list)

    def painting(self) -> ObjectInfo:
        """The painting.

        Raises:
            JobError: there is none yet, or more than one.
        """
        if not self.paintings:
            raise JobError(f"there is no painting yet: upload {STYLES_FOLDER}/{self.name}.jpg")
        if len(self.paintings) > 1:
            names = ", ".join(info.uri.rpartition("/")[2] for info in self.paintings)
            raise JobError(f"{len(self.paintings)} paintings ({names}): leave one of them")
        return self.paintings[0]


@dataclass(slots=True)
class Inbox:
    """Uploads by style; ``ignored`` are names of those that are neither style nor photograph."""

    styles: dict[str, StyleUploads] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def style(self, name: str) -> StyleUploads:
        """One style, made known where it is not."""
        return self.styles.setdefault(name, StyleUploads(name))


def check_uploads_job(job: UploadsJob) -> UploadsJob:
    """The job with both folders whole.

    Raises:
        JobError: a folder is none, or the pictures would become uploads.
    """
    with job_errors("inbox"):
        inbox_uri = check_folder(job.inbox_uri)
    with job_errors("output"):
        output_uri = check_folder(job.output_uri)
    if f"{output_uri}/".startswith(f"{inbox_uri}/"):
        raise JobError(
            f"output {output_uri} is in the inbox {inbox_uri}, so that pictures would be uploads "
            "themselves. Name another bucket or folder."
        )
    return job.model_copy(update={"inbox_uri": inbox_uri, "output_uri": output_uri})


def sort_inbox(listing: Iterable[ObjectInfo], inbox_uri: str) -> Inbox:
    """Tell styles, settings and photographs apart by their names.

    Args:
        listing: of the inbox, without folder markers and dot-names.
        inbox_uri: normalised.
    """
    inbox = Inbox()
    for info in listing:
        key = relative_name(info.uri, inbox_uri)
        folder, _, name = key.partition("/")
        if not folder or not name:
            inbox.ignored.append(key)
        elif folder != STYLES_FOLDER:
            inbox.style(folder).photographs.append(info)
        elif not _add_to_style(inbox, name, info):
            inbox.ignored.append(key)
    return inbox


def relative_name(uri: str, inbox_uri: str) -> str:
    """The name of an upload below the inbox, as text that every file format takes."""
    return uri[len(inbox_uri) + 1 :].encode("utf-8", "backslashreplace").decode()


def _add_to_style(inbox: Inbox, name: str, info: ObjectInfo) -> bool:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if "/" in name or suffix not in {*_PAINTING_SUFFIXES, _SETTINGS_SUFFIX}:
        return False
    style = inbox.style(path.stem)
    if suffix == _SETTINGS_SUFFIX:
        style.settings = info
    else:
        style.paintings.append(info)
    return True


def style_job(job: UploadsJob, style: StyleUploads, settings: bytes | None) -> StylizeJob:
    """The job of a style's uploads; its manifest, which is yet to be written, is the folder.

    Args:
        job: what holds for all styles; checked.
        style: whose painting is there.
        settings: bytes of the style's YAML, or None where there is none.

    Raises:
        JobError: the style has no painting, or its settings are wrong.
    """
    own = {} if settings is None or style.settings is None else _read_settings(style, settings)
    raw = {
        **job.model_dump(include={"preset", "max_side_px", "device"}),
        **own,
        "manifest_uri": f"{job.inbox_uri}/{style.name}/",
        "styles": [style.painting().uri],
        "output_uri": job.output_uri,
        "allow": [job.inbox_uri],
    }
    try:
        made = StylizeJob.model_validate(raw)
    except ValidationError as error:
        raise JobError(f"{_place(style)}: {_describe(error)}") from error
    return _with_whole_inputs(made, job, style)


def _read_settings(style: StyleUploads, data: bytes) -> Mapping[str, Any]:
    try:
        raw = load_yaml(data.decode("utf-8"))
    except ValueError as error:
        raise JobError(f"{_place(style)}: not YAML: {error}") from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise JobError(f"{_place(style)}: write settings such as `method: identity`")
    unknown = [str(key)[:80] for key in raw if key not in _STYLE_SETTINGS]
    if unknown:
        raise JobError(
            f"{_place(style)}: {', '.join(unknown[:_ERRORS_SHOWN])}: not a setting of a style. "
            f"Settings are {', '.join(_STYLE_SETTINGS)}."
        )
    return raw


def _place(style: StyleUploads) -> str:
    return f"{STYLES_FOLDER}/{style.name}{_SETTINGS_SUFFIX}"


def _describe(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join(map(str, detail['loc'])) or 'settings'}: "
        f"{detail['msg'].removeprefix('Value error, ')}"
        for detail in details[:_ERRORS_SHOWN]
    ]
    return "; ".join(lines)


def _with_whole_inputs(made: StylizeJob, job: UploadsJob, style: StyleUploads) -> StylizeJob:
    """With files that the settings name relative to the inbox, if they may name them."""
    allowed = AllowList([bucket_or_folder(f"{job.inbox_uri}/"), *job.allow])

    def whole(uri: str | None) -> str | None:
        if uri is None or uri == PER_IMAGE:
            return uri
        with job_errors(_place(style)):
            checked = check_uri(resolve(uri.rstrip("/"), job.inbox_uri))
            allowed.check(checked)
        return checked

    named = made.optimize.model_dump(include={"encoder_weights_uri", "init_uri"})
    inputs = {name: whole(uri) for name, uri in named.items()}
    update: dict[str, Any] = {"optimize": made.optimize.model_copy(update=inputs)}
    if made.refine is not None:
        update["refine"] = made.refine.model_copy(update={"uri": whole(made.refine.uri)})
    return made.model_copy(update=update)
