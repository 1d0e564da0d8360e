"""Secrets that were planted, and a search of everything for them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pyarrow.parquet as pq
import s3fs

PAGE = 200
# What a Prefect server tells by page, of all that it keeps.
_LISTINGS = (
    "flows", "flow_runs", "task_runs", "deployments", "artifacts", "logs", "automations",
    "block_documents", "variables", "work_pools", "v2/concurrency_limits",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Something that was left behind, by name."""

    name: str
    data: bytes


def forms_of(secret: str) -> set[bytes]:
    """How a secret looks as it is, in a URL, and in an ``Authorization`` header."""
    plain = secret.encode()
    return {plain, quote(secret, safe="").encode(), base64.b64encode(plain)}


def search(places: Iterator[Place], secrets: Mapping[str, str]) -> tuple[int, dict[str, set[str]]]:
    """How many places were searched, and where each secret stands, by what it is."""
    forms = {what: forms_of(secret) for what, secret in secrets.items()}
    found: dict[str, set[str]] = {what: set() for what in secrets}
    number = 0
    for place in places:
        number += 1
        for what, looks in forms.items():
            if any(look in place.data for look in looks):
                found[what].add(place.name)
    return number, found


def files(folder: Path) -> Iterator[Place]:
    """Every file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield Place(str(path.relative_to(folder)), path.read_bytes())


def objects(client: s3fs.S3FileSystem, *buckets: str) -> Iterator[Place]:
    """Every object, with Parquet's compression undone."""
    for bucket in buckets:
        for name in client.find(bucket):
            data = client.cat_file(name)
            yield Place(name, data)
            if name.endswith(".parquet"):
                table = pq.read_table(io.BytesIO(data))
                yield Place(name, repr((table.schema.metadata, table.to_pylist())).encode())


def server(api_url: str, auth: tuple[str, str]) -> Iterator[Place]:
    """Everything that the API of a Prefect server tells."""
    with httpx.Client(base_url=api_url, auth=auth, timeout=60) as client:
        for what in _LISTINGS:
            yield from _pages(client, what, {})
        everything = {"filter": {"occurred": {"since": "2020-01-01T00:00:00Z"}}, "limit": 50}
        answer = client.post("events/filter", json=everything).raise_for_status().json()
        while True:
            for event in answer["events"]:
                yield Place("events", repr(event).encode())
            if not answer["next_page"]:
                break
            answer = client.get(answer["next_page"]).raise_for_status().json()


def _pages(client: httpx.Client, what: str, asked: dict[str, Any]) -> Iterator[Place]:
    offset = 0
    while True:
        page = {**asked, "offset": offset, "limit": PAGE}
        found = client.post(f"{what}/filter", json=page).raise_for_status().json()
        for one in found:
            yield Place(what, repr(one).encode())
        if len(found) < PAGE:
            return
        offset += PAGE
