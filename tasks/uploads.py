"""The work that an inbox leaves: uploads minus pictures minus failures, planned as ordinary runs.

A run that is planned has a marker under ``uploads/open/`` until its failures are noted; a marker
that is found later is a run that was interrupted, and is finished before anything new is planned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stylecore.batch.faults import job_errors
from stylecore.batch.fingerprint import fingerprint, name_styles, output_name, style_folder
from stylecore.batch.inbox import StyleUploads, UploadsJob, relative_name, sort_inbox
from stylecore.batch.ledger import RunLedger, open_ledger
from stylecore.batch.store import Store
from stylecore.batch.uploads import Upload, failure_note, next_attempt, write_manifest
from stylecore.batch.uris import join_uri
from stylecore.config import StylizeJob
from stylecore.errors import JobError, RowError
from stylecore.pixel_settings import pixel_settings
from tasks.preparing import prepare_run
from tasks.style_files import style_sources
from tasks.upload_styles import KnownDigests, StyleReader, digests_uri, version_of


@dataclass(frozen=True, slots=True)
class StyleWork:
    """A style as it is now: its job, what its pictures are named by, and the uploads left."""

    job: StylizeJob
    style_digest: str
    inputs_digest: str
    uploads: list[Upload]


@dataclass(slots=True)
class Findings:
    """What a look at an inbox found.

    Attributes:
        runs: planned runs that are to be worked through.
        waiting: number of photographs, and the reason, by style.
        ignored: names of uploads that are neither style nor photograph.
        num_photographs: how many there are in all.
    """

    runs: list[str] = field(default_factory=list)
    waiting: dict[str, tuple[int, str]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    num_photographs: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for what a task returns."""
        return {
            "runs": self.runs,
            "waiting": {style: list(why) for style, why in self.waiting.items()},
            "ignored": self.ignored[:20],
            "num_photographs": self.num_photographs,
        }


def find_work(store: Store, job: UploadsJob, *, tries_again: bool) -> Findings:
    """Look at an inbox, and plan what is left of it: a run for each style.

    Args:
        store: where everything is.
        job: checked.
        tries_again: whether uploads that failed with a passing fault are due.

    Raises:
        JobError: the inbox or the output cannot be read.
    """
    with job_errors("inbox"):
        inbox = sort_inbox(store.list_objects(job.inbox_uri), job.inbox_uri)
    findings = Findings(ignored=inbox.ignored)
    digests = KnownDigests(store, digests_uri(job.output_uri))
    reader = StyleReader(store, job, digests)
    works = []
    for style in inbox.styles.values():
        findings.num_photographs += len(style.photographs)
        try:
            if style.photographs:
                works.append(_read_style(store, job, reader, style))
        except JobError as error:
            findings.waiting[style.name] = (len(style.photographs), str(error))
    digests.save()
    findings.runs = list(_interrupted_runs(store, job.output_uri, works))
    if not findings.runs:
        _plan(store, works, findings, tries_again=tries_again)
    return findings


def _read_style(
    store: Store, job: UploadsJob, reader: StyleReader, style: StyleUploads
) -> StyleWork:
    style_job = reader.read_job(style)
    style_digest = reader.style_digest(style_job, style.painting())
    work = StyleWork(style_job, style_digest, reader.inputs_digest(style_job), [])
    pictures, failures = _list_names(store, style_job)
    settings = pixel_settings(style_job)
    for info in style.photographs:
        try:
            version = version_of(store, info)
        except RowError:
            continue  # gone or locked since it was listed: the next sweep will see
        mark = fingerprint(version, work.style_digest, settings, work.inputs_digest)
        name = output_name(info.uri, mark, style_job.output.format).rpartition(".")[0]
        attempt = next_attempt(name, pictures, failures)
        if attempt is not None:
            row_id = relative_name(info.uri, job.inbox_uri)
            work.uploads.append(Upload(row_id, info.uri, version, name, attempt))
            pictures.add(name)  # equal bytes of equal name are one picture
    return work


def _list_names(store: Store, job: StylizeJob) -> tuple[set[str], set[str]]:
    """Names of a style's pictures, without suffix, and of its failures."""
    name = style_name(job)
    with job_errors("output"):
        pictures = [info.uri for info in store.list_objects(style_folder(job.output_uri, name))]
        failures = [info.uri for info in store.list_objects(_failures(job.output_uri, name))]
    return (
        {uri.rpartition("/")[2].rpartition(".")[0] for uri in pictures},
        {uri.rpartition("/")[2] for uri in failures},
    )


def style_name(job: StylizeJob) -> str:
    """Folder of the pictures of a job in one style."""
    return name_styles(style_sources(job))[0].name


def _failures(output_uri: str, name: str) -> str:
    return join_uri(output_uri, "failures", name)


def _interrupted_runs(store: Store, output_uri: str, works: list[StyleWork]) -> Iterator[str]:
    """Runs to be finished; those whose painting or settings changed since are given up."""
    known = {work.job.styles[0].uri: work for work in works}
    with job_errors("output"):
        markers = list(store.list_objects(_open_folder(output_uri)))
    for marker in markers:
        run_id = marker.uri.rpartition("/")[2]
        try:
            ledger = open_ledger(store, join_uri(output_uri, "runs", run_id))
        except JobError:  # somebody removed the run
            store.delete(marker.uri)
            continue
        work = known.get(ledger.record.job.styles[0].uri)
        if work is None:
            continue  # the style waits, and its run with it
        if _is_current(ledger, work):
            yield ledger.run_uri
        else:
            store.delete(marker.uri)


def _is_current(ledger: RunLedger, work: StyleWork) -> bool:
    record = ledger.record
    now = (work.style_digest, work.inputs_digest, pixel_settings(work.job))
    return now == (record.styles[0].digest, record.inputs_digest, pixel_settings(record.job))


def _plan(store: Store, works: list[StyleWork], findings: Findings, *, tries_again: bool) -> None:
    for work in works:
        uploads = [upload for upload in work.uploads if tries_again or upload.attempt == 1]
        if not uploads:
            continue
        try:
            findings.runs.append(plan_uploads(store, work.job, uploads).run_uri)
        except JobError as error:
            style = uploads[0].row_id.partition("/")[0]
            findings.waiting[style] = (len(uploads), str(error))


def plan_uploads(store: Store, job: StylizeJob, uploads: list[Upload]) -> RunLedger:
    """Plan the uploads of a style as a run, and mark it as open.

    Raises:
        JobError: the settings are wrong in a way that only planning sees.
    """
    name, data = write_manifest(uploads)
    manifest_uri = join_uri(job.output_uri, "uploads", "manifests", style_name(job), name)
    with job_errors("output"):
        store.write_bytes(manifest_uri, data, "application/jsonl")
    ledger = prepare_run(store, job.model_copy(update={"manifest_uri": manifest_uri}))
    store.write_bytes(_marker(ledger), b"")
    return ledger


def settle_run(store: Store, ledger: RunLedger) -> None:
    """Note what failed in a run that is complete, and close its marker; may be done again."""
    for outcome in ledger.outcomes():
        if outcome.status == "failed":
            name, note = failure_note(outcome, ledger.run_uri)
            uri = join_uri(_failures(ledger.output_uri, outcome.style), name)
            store.write_bytes(uri, json.dumps(note, indent=2).encode(), "application/json")
    store.delete(_marker(ledger))


def _open_folder(output_uri: str) -> str:
    return join_uri(output_uri, "uploads", "open")


def _marker(ledger: RunLedger) -> str:
    return join_uri(_open_folder(ledger.output_uri), ledger.run_id)
