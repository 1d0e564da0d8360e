"""A shell beside two servers, and an independent look into the buckets."""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from command_line import Answer, run_stylebatch
from servers import S3Server

Row = dict[str, Any]


@dataclass(frozen=True)
class Workplace:
    """Where the command line is started, and what it can reach from there."""

    s3: S3Server
    prefect_url: str
    home: Path

    def stylebatch(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Answer:
        """Run one command with both servers named in its environment."""
        names = {**self.s3.environment, "PREFECT_API_URL": self.prefect_url}
        return run_stylebatch(
            *arguments, home=self.home, environment={**names, **(environment or {})}
        )

    def put(self, objects: Mapping[str, bytes], folder: str) -> None:
        """Write objects below a folder such as ``inbox/first``."""
        client = self.s3.client()
        for name, data in objects.items():
            client.pipe_file(f"{folder}/{name}", data)

    def put_manifest(self, uri: str, rows: Iterable[Row]) -> None:
        """Write a JSONL manifest."""
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        self.s3.client().pipe_file(uri, lines.encode())

    def read(self, uri: str) -> bytes:
        """All bytes of an object."""
        data: bytes = self.s3.client().cat_file(uri)
        return data

    def read_json(self, uri: str) -> Any:
        """An object's JSON."""
        return json.loads(self.read(uri))

    def rows_of(self, uri: str) -> list[Row]:
        """The lines of one Parquet object."""
        return pq.read_table(io.BytesIO(self.read(uri))).to_pylist()

    def results(self, run_uri: str) -> list[Row]:
        """The lines of all first attempts of a run."""
        names = sorted(self.listing(f"{run_uri}/results"))
        return [row for name in names if ".retry" not in name for row in self.rows_of(name)]

    def listing(self, folder: str) -> dict[str, tuple[str, str]]:
        """ETag and time of the last write of every object below a folder, by bucket and key."""
        found = self.s3.client().find(folder, detail=True)
        return {key: (str(info["ETag"]), str(info["LastModified"])) for key, info in found.items()}
