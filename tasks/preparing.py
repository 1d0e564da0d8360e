"""From a request to a planned run. No Prefect here: wrong requests are answered before it loads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from stylecore.batch.estimate import Estimate, PassWork, estimate_job, rows_per_shard
from stylecore.batch.faults import job_errors
from stylecore.batch.fingerprint import Style, StyleSources, make_run_id
from stylecore.batch.ledger import PlannedShard, PlannedStyle, RunLedger, RunRecord, utc_now
from stylecore.batch.manifest import SpooledManifest, spool_manifest
from stylecore.batch.planning import (
    MaskRule,
    RowReader,
    Scan,
    cut_shards,
    refuse_if_all_rejected,
    scan_manifest,
)
from stylecore.batch.scratch import scratch_folder
from stylecore.batch.store import Store
from stylecore.batch.uris import (
    AllowList,
    absolute,
    bucket_or_folder,
    check_folder,
    join_uri,
)
from stylecore.config import StyleSource, StylizeJob
from stylecore.images.limits import DecodeLimits
from stylecore.perception.layers import check_layers, check_pooling, layer_names
from stylecore.pixel_settings import pixel_settings
from tasks.input_files import (
    MAX_WEIGHTS_BYTES,
    check_input_files,
    digest_inputs,
    object_uri,
    read_input,
    read_input_files,
    whole_inputs,
)
from tasks.style_files import (
    check_known,
    decode_style,
    is_painted,
    read_style_files,
    style_digest,
    style_sources,
)

# Limits of how the work is cut up: the same run with others.
_FREE_LIMITS = {"rows_per_shard", "run_minutes"}
_OUTPUT_FOLDERS = ("images", "runs", "failures", "timelapse", "uploads", "deaths")
_STYLELESS = ("text", "listing")  # manifests whose rows cannot name their styles
_VERSIONS = ("stylebatch", "prefect", "torch", "torchvision", "pillow", "s3fs")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do."""

    run_id: str
    scan: Scan
    shards: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class _Request:
    """A job with its inputs read and its manifest in the local spool."""

    job: StylizeJob
    manifest: SpooledManifest
    styles: list[StyleSources]
    style_digests: list[str]
    inputs_digest: str
    generator: PassWork

    @property
    def run_id(self) -> str:
        """What the job is called, given its inputs."""
        settings = {
            "pixels": pixel_settings(self.job),
            "inputs": self.inputs_digest,
            "allow": sorted(set(self.job.allow)),
            "limits": self.job.limits.model_dump(mode="json", exclude=_FREE_LIMITS),
            "manifest": [self.manifest.base_uri, self.manifest.kind],
        }
        styles = list(zip(self.styles, self.style_digests, strict=True))
        return make_run_id(self.manifest.digest, settings, styles, self.job.run_key)

    def rows(self) -> RowReader:
        """The manifest's rows against what this job allows."""
        named = [f"{self.manifest.base_uri}/", *(source.uri for source in self.job.styles)]
        allowed = AllowList([*map(bucket_or_folder, named), *self.job.allow])
        masks: MaskRule = "required" if self.job.regions else "optional"
        if self.job.cascade or self.job.generator is not None:
            masks = "refused"
        return RowReader(self.manifest, self.styles, allowed, masks)


def prepare_run(store: Store, job: StylizeJob) -> RunLedger:
    """Plan a job, unless its plan is there already.

    Planning the same request again finds the same run; a plan that was interrupted is made again
    from the same bytes and overwrites the same files.

    Raises:
        JobError: the request is wrong; nothing was written.
    """
    job = normalize_job(job)
    store.check_writable(job.output_uri)
    with _read_request(store, job) as request:
        ledger = RunLedger(store, job.output_uri, request.run_id)
        if not ledger.is_planned():
            with job_errors("output cannot be written", job.output_uri):
                _write_plan(ledger, request)
    return ledger


def preview_run(store: Store, job: StylizeJob) -> Preview:
    """Say what ``prepare_run`` would plan, and write nothing.

    Raises:
        JobError: the request is wrong.
    """
    with _read_request(store, normalize_job(job)) as request:
        scan = scan_manifest(request.rows())
        size = rows_per_shard(request.job, scan.planned, request.generator)
        shards = sum(-(-rows // size) for rows in scan.rows_of_style)
        estimate = estimate_job(request.job, scan.planned, request.generator)
        return Preview(request.run_id, scan, shards, estimate)


def normalize_job(job: StylizeJob) -> StylizeJob:
    """The job with every URI whole and checked.

    Raises:
        JobError: naming the field that is wrong.
    """
    settings = job.optimize if job.then is None else job.then.optimize
    if job.method == "optimize" or job.then is not None:
        wanted = (*settings.content_layers, *settings.style_layers)
        check_layers(wanted, layer_names(settings.encoder))
        check_pooling(settings.encoder, settings.pooling)
    with job_errors("output"):
        output_uri = check_folder(job.output_uri)
    return job.model_copy(
        update={
            "styles": tuple(map(_whole_style, job.styles)),
            "output_uri": output_uri,
            "manifest_uri": absolute(job.manifest_uri),
            **whole_inputs(job),
        }
    )


def _whole_style(style: StyleSource) -> StyleSource:
    mask = style.mask_uri
    whole = {"uri": object_uri("style", style.uri)}
    if mask is not None:
        whole["mask_uri"] = object_uri("style mask", mask)
    return style.model_copy(update=whole)


def decode_limits(job: StylizeJob) -> DecodeLimits:
    """How large an input may be."""
    return DecodeLimits(job.limits.max_bytes, job.limits.max_pixels)


@contextmanager
def _read_request(store: Store, job: StylizeJob) -> Iterator[_Request]:
    files = read_input_files(store, job)
    check_input_files(job, files)
    sources, generator = style_sources(job), files.get("generator")
    digests = [check_style(store, job, source, generator) for source in sources]
    inputs_digest = digest_inputs(job, files)
    with scratch_folder() as folder:
        ours = [join_uri(job.output_uri, name) for name in _OUTPUT_FOLDERS]
        manifest = spool_manifest(store, job.manifest_uri, folder, ours)
        if generator is not None and not job.styles and manifest.kind in _STYLELESS:
            with job_errors("style"):  # else each row may name its own
                check_known(job, Style("", *sources[0]), [], generator)
        work = _pass_work(job, generator)
        yield _Request(job, manifest, sources, digests, inputs_digest, work)


def _pass_work(job: StylizeJob, generator: bytes | None) -> PassWork:
    """What a pass through a job's generator takes."""
    if job.generator is None or generator is None:
        return PassWork()
    from stylecore.generate.loading import read_network_card  # brings torch

    card = read_network_card(generator, f"generator: {job.generator.uri}")
    return PassWork(card.flop_per_pixel, card.bytes_per_pixel)


def check_style(
    store: Store, job: StylizeJob, source: StyleSources, generator: bytes | None
) -> str:
    """Read a style's paintings, and their masks where there are any; returns their digest.

    Args:
        store: where they are.
        job: that names the style.
        source: of the style.
        generator: the job's, where it has one.

    Raises:
        JobError: one of them cannot be read, or the generator was not trained for it.
    """
    style = Style("", *source)
    most = job.limits.max_bytes if is_painted(job, style) else MAX_WEIGHTS_BYTES
    files, masks = read_style_files(style, lambda uri: read_input(store, "style", uri, most))
    with job_errors("style"):
        if is_painted(job, style):
            decode_style(style, files, masks, decode_limits(job))
            check_known(job, style, files, generator)
    return style_digest(files, style.weights, masks)


def _write_plan(ledger: RunLedger, request: _Request) -> None:
    rows = request.rows()
    scan = scan_manifest(rows)
    refuse_if_all_rejected(scan, request.manifest.uri)
    size = rows_per_shard(request.job, scan.planned, request.generator)
    shards = []
    for shard in cut_shards(rows, scan, size):
        ledger.write_shard_plan(shard, scan.styles[shard.style_index], scan.extra)
        shards.append(PlannedShard(style_index=shard.style_index, rows=len(shard.rows)))
    ledger.complete_plan(_record(request, scan, size, shards))


def _record(request: _Request, scan: Scan, size: int, shards: Sequence[PlannedShard]) -> RunRecord:
    digests = [*request.style_digests, *[None] * (len(scan.styles) - len(request.style_digests))]
    styles = tuple(
        PlannedStyle(
            name=style.name,
            uris=style.uris,
            weights=style.weights,
            digest=digest,
            masks=style.masks,
        )
        for style, digest in zip(scan.styles, digests, strict=True)
    )
    return RunRecord(
        run_id=request.run_id,
        created_at=utc_now(),
        versions={name: version(name) for name in _VERSIONS},
        job=request.job,
        manifest_digest=request.manifest.digest,
        inputs_digest=request.inputs_digest,
        rows=scan.rows,
        planned=scan.planned,
        duplicates=scan.duplicates,
        rejected=dict(scan.rejected),
        rows_per_shard=size,
        styles=styles,
        shards=tuple(shards),
    )
