"""The files, besides photographs and paintings, that a job names: read, checked, digested."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from stylecore.batch.faults import job_errors
from stylecore.batch.fingerprint import digest_of
from stylecore.batch.store import Store
from stylecore.batch.uris import absolute, check_uri, join_uri
from stylecore.config import StylizeJob
from stylecore.perception.digests import shipped_weights_digest

_FILES: Final = {"refine": "refiner.safetensors", "generator": "generator.safetensors"}
_INPUT_SETTINGS: Final = frozenset({"encoder_weights_uri", "init_uri"})
MAX_WEIGHTS_BYTES: Final = 2 * 1024**3


def whole_inputs(job: StylizeJob) -> dict[str, Any]:
    """Fields of the job with the files they name made whole: a shard may run in another folder.

    Raises:
        JobError: naming the field that is wrong.
    """
    named = job.optimize.model_dump(include={*_INPUT_SETTINGS}, exclude_none=True)
    uris = {field: object_uri(field, uri) for field, uri in named.items()}
    whole: dict[str, Any] = {"optimize": job.optimize.model_copy(update=uris)}
    if job.refine is not None and not job.refine.is_per_image:
        whole["refine"] = job.refine.model_copy(update=_whole_file("refine", job.refine.uri))
    if job.generator is not None:
        uri = _whole_file("generator", job.generator.uri)
        whole["generator"] = job.generator.model_copy(update=uri)
    return whole


def _whole_file(field: str, uri: str) -> dict[str, str]:
    """The URI of the file, where the folder that training wrote is named."""
    is_file = uri.endswith(".safetensors")
    whole = uri if is_file else join_uri(uri.rstrip("/"), _FILES[field])
    return {"uri": object_uri(field, whole)}


def input_uris(job: StylizeJob) -> dict[str, str]:
    """Weights, picture to start from, networks: where they are, by the name of the setting."""
    named: dict[str, str] = {}
    if job.method == "optimize":
        named = job.optimize.model_dump(include={*_INPUT_SETTINGS}, exclude_none=True)
    if job.generator is not None:
        named["generator"] = job.generator.uri
    if job.refine is not None and not job.refine.is_per_image:
        named["refine"] = job.refine.uri
    return named


def read_input_files(store: Store, job: StylizeJob) -> dict[str, bytes]:
    """The files of ``input_uris``.

    Raises:
        JobError: one of them cannot be read.
    """
    return {name: read_input(store, name, uri) for name, uri in input_uris(job).items()}


def check_input_files(job: StylizeJob, files: Mapping[str, bytes]) -> None:
    """Refuse a refiner or generator that is none before anything is planned.

    Raises:
        JobError: it is damaged, or something else.
    """
    if job.refine is not None and "refine" in files:
        from stylecore.refine.files import load_refiner  # brings torch

        load_refiner(files["refine"], f"refine: {job.refine.uri}")
    if job.generator is not None:
        from stylecore.generate.loading import load_network  # so does this

        load_network(files["generator"], job.generator)


def digest_inputs(job: StylizeJob, files: Mapping[str, bytes]) -> str:
    """Digest of the network's weights and of the files that ``read_input_files`` gives."""
    if job.method == "identity":
        return ""
    digests = [[name, hashlib.sha256(data).hexdigest()] for name, data in sorted(files.items())]
    encoder = job.optimize.encoder if job.then is None else job.then.optimize.encoder
    return digest_of([shipped_weights_digest(encoder), digests])


def read_input(store: Store, what: str, uri: str, max_bytes: int = MAX_WEIGHTS_BYTES) -> bytes:
    """A file that the job itself names.

    Raises:
        JobError: it cannot be read.
    """
    with job_errors(what):
        return store.read_bytes(check_uri(absolute(uri)), max_bytes)[0]


def object_uri(what: str, uri: str) -> str:
    """The URI of an object, whole and checked.

    Raises:
        JobError: it is none.
    """
    with job_errors(what):
        return check_uri(absolute(uri))
