"""Runs of the command line against a store behind a fault proxy."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buckets import Workplace
from command_line import Answer, run_stylebatch
from fault_proxy import Exchange, Fault, FaultProxy
from sample_images import GREAT_WAVE, PHOTOGRAPHS, crop_jpeg

_LONG_S = 600


@dataclass(frozen=True)
class FaultyStore:
    """A shell that reaches the store through the proxy only, and a look around it.

    Attributes:
        proxy: in front of the store.
        direct: a workplace that goes around the proxy.
        name: of this story's folders.
    """

    proxy: FaultProxy
    direct: Workplace
    name: str

    @property
    def inbox(self) -> str:
        return f"inbox/{self.name}"

    def fill(self, names: Iterable[str]) -> None:
        """Put a photograph of its own for each name, a painting and a manifest."""
        photographs = {
            f"{name}.jpg": crop_jpeg(PHOTOGRAPHS[number % len(PHOTOGRAPHS)], (96, 64), 8 * number)
            for number, name in enumerate(names)
        }
        self.direct.put({**photographs, "style.jpg": GREAT_WAVE.read_bytes()}, self.inbox)
        rows = [{"id": Path(name).stem, "file_name": name} for name in photographs]
        self.direct.put_manifest(f"s3://{self.inbox}/manifest.jsonl", rows)

    def run(
        self, output: str = "faulty", manifest: str = "manifest.jsonl", **environment: str
    ) -> Answer:
        """``stylebatch run`` through the proxy."""
        words = ["--manifest", f"s3://{self.inbox}/{manifest}"]
        words += ["--style", f"s3://{self.inbox}/style.jpg", "--max-side-px", "32"]
        words += ["--output", f"s3://outbox/{self.name}/{output}", "--method", "identity"]
        return self.command("run", *words, environment=environment)

    def command(self, *words: str, environment: Mapping[str, str] | None = None) -> Answer:
        """Any command through the proxy."""
        servers = {**self.proxy.s3.environment, "PREFECT_API_URL": self.direct.prefect_url}
        names = {**servers, **(environment or {})}
        home = self.direct.home
        return run_stylebatch(*words, home=home, environment=names, timeout_s=_LONG_S)

    def pictures(self, output: str = "faulty") -> dict[str, str]:
        """ETags of the pictures by name."""
        folder = f"outbox/{self.name}/{output}/images"
        return {Path(key).name: etag for key, (etag, _) in self.direct.listing(folder).items()}

    def puts(self) -> list[str]:
        """Row ids of the pictures that the store wrote, in order, each as often as it did."""
        paths = self.proxy.done("PUT", f"outbox/{self.name}/faulty/images/")
        return [Path(path.partition("?")[0]).stem.rpartition("-")[0] for path in paths]

    def leftovers(self) -> list[str]:
        """Multipart uploads that nobody ended, and dot-names, in the bucket of the pictures."""
        client = self.direct.s3.client()
        uploads = client.call_s3("list_multipart_uploads", Bucket="outbox").get("Uploads") or []
        prefix = f"{self.name}/"
        found = client.call_s3("list_objects_v2", Bucket="outbox", Prefix=prefix, MaxKeys=1000)
        keys = [one["Key"] for one in (*uploads, *found["Contents"])]
        return [k for k in keys if "/." in k] + [one["Key"] for one in uploads]

    def go_away(self, fault: Fault, at: tuple[str, str], for_s: float | None = None) -> None:
        """From a request on, everything fails, for some seconds or for ever."""

        def begin(exchange: Exchange) -> None:
            self.proxy.on(".*", "", fault)
            if for_s is not None:
                threading.Timer(for_s, self.proxy.heal).start()
            fault(exchange)

        self.proxy.on(*at, begin, 1)


@contextmanager
def faulty_store(proxy: FaultProxy, workplace: Workplace) -> Iterator[FaultyStore]:
    """A story of its own, after which the proxy is well."""
    proxy.heal()
    try:
        yield FaultyStore(proxy, workplace, secrets.token_hex(4))
    finally:
        proxy.heal()


def impatience(folder: Path, timeout_s: float, patience_s: float) -> dict[str, str]:
    """An environment in which stylebatch waits less than it does: for a request, for the store."""
    text = (
        "import stylecore.batch.objects, tasks.outages\n"
        f"stylecore.batch.objects.StoreSettings.__init__.__defaults__ = ({timeout_s}, 4)\n"
        f"tasks.outages.PATIENCE_S = {patience_s}\n"
    )
    (folder / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
