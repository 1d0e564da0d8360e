"""Runs that are killed again and again, and an account of what the bucket holds afterwards.

A story is one job on a local folder. It is started, killed with SIGKILL at a random moment, and
started again, until it is done. A thread notes every picture that appears, so that what is made
twice is seen although it has the same name.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

import psutil
import registrations
from command_line import STYLEBATCH, clean_environment
from local_jobs import LocalBucket
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType
from sample_images import make_many_photographs

from flows.stylize_manifest import stylize_manifest
from stylecore.batch.claims import ClaimRecord

Victim = Literal["flow", "worker", "worker and flow"]
POOL = "kills"
DEPLOYMENT = "stylize-manifest/kills"
PHOTOGRAPHS, ROWS_PER_SHARD = 36, 6
PATIENCE_S = 240


@dataclass
class Account:
    """What came of some stories, in numbers."""

    kills: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    planned: int = 0
    lost: int = 0
    doubled: int = 0
    failed: int = 0
    broken: int = 0
    orphans: int = 0
    leftovers: int = 0
    repeated: int = 0
    repeated_elsewhere: int = 0
    unwritten_s: list[float] = field(default_factory=list)  # since the last picture, by kill

    def text(self) -> str:
        """The numbers in a sentence."""
        return (
            f"{self.inside} of {self.kills.total()} kills inside a shard; of {self.planned} rows "
            f"{self.lost} lost, {self.doubled} doubled, {self.broken} broken, {self.failed} failed,"
            f" {self.repeated} written again; a kill costs {median(self.unwritten_s or [0]):.1f} s "
            f"of work (median; most {max(self.unwritten_s, default=0):.1f} s)"
        )


class Story:
    """One job in a folder of its own."""

    def __init__(self, folder: Path, url: str, dice: random.Random) -> None:
        folder.mkdir(parents=True)
        self.bucket = LocalBucket(folder)
        self.bucket.fill(0)
        for name, data in make_many_photographs(PHOTOGRAPHS).items():
            (self.bucket.photographs / name).write_bytes(data)
        (folder / "tmp").mkdir()
        self._url, self._dice = url, dice
        self._in_flight: set[int] = set()  # shards that a kill interrupted
        self._job = self.bucket.job(
            limits={"rows_per_shard": ROWS_PER_SHARD}, optimize={"num_evaluations": 4}
        )
        (folder / "job.yaml").write_text(self._job.model_dump_json())
        names = {"PREFECT_API_URL": url, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "tmp")}
        names |= {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_LOGGING_LEVEL": "WARNING"}
        self._environment = clean_environment(folder, names)

    def tell(self, account: Account, most: int) -> None:
        """Start and kill until the job is done, at most so often; then let it finish."""
        with _noting_pictures(self.bucket) as seen:
            for _ in range(most):
                victim = self._dice.choices(("flow", "worker", "worker and flow"), (3, 1, 1))[0]
                if not self._start_and_kill(victim, account):
                    break
            self._finish()
        self._settle(account, seen)

    def _start_and_kill(self, victim: Victim, account: Account) -> bool:
        """Whether the process was still at work when it was killed."""
        before = len(self._claims())
        with self._started(victim) as process:
            started = time.time()
            # Most kills are to land in a shard, some while the run starts or is planned.
            if self._dice.random() < 0.85:
                _wait(lambda: len(self._claims()) > before or self._is_over(process))
                time.sleep(self._dice.uniform(0, 4))
            else:
                time.sleep(self._dice.uniform(0, 10))
            if self._is_over(process):
                return False
            shards = self._shards_at_work()
            _kill(process, with_children=victim != "worker")
            unwritten_s = time.time() - max(self._last_written(), started)
        self._in_flight |= shards
        if shards and victim != "worker":
            account.unwritten_s.append(unwritten_s)
        account.kills[victim] += 1
        account.inside += bool(shards)
        return True

    @contextmanager
    def _started(self, victim: Victim) -> Iterator[subprocess.Popen[bytes]]:
        command = [STYLEBATCH, "run", "job.yaml"]
        if victim != "flow":
            command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
            parameters = {"job": self._job.model_dump(mode="json")}
            registrations.start(self._url, DEPLOYMENT, **parameters)
        folder = self.bucket.folder
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env=self._environment
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE_S)

    def _is_over(self, process: subprocess.Popen[bytes]) -> bool:
        return process.poll() is not None or self._is_done()

    def _is_done(self) -> bool:
        return (
            len(list(self.bucket.output.glob("runs/*/results/*"))) == PHOTOGRAPHS / ROWS_PER_SHARD
        )

    def _claims(self) -> list[Path]:
        found = self.bucket.output.glob("runs/*/claims/[0-9]*")
        return sorted(found, key=lambda path: [int(part) for part in path.name.split(".")[:2]])

    def _shards_at_work(self) -> set[int]:
        """Shards without results, of which somebody who lives has the last claim."""
        held: dict[int, bool] = {}
        for path in self._claims():
            record = ClaimRecord.model_validate_json(path.read_text())
            is_held = not (record.is_released or record.process.is_dead())
            held[int(path.name.partition(".")[0])] = is_held
        done = {int(path.stem) for path in self.bucket.output.glob("runs/*/results/*")}
        return {shard for shard, is_held in held.items() if is_held} - done

    def _last_written(self) -> float:
        """When the last picture or results were written, in seconds since 1970."""
        results = self.bucket.output.glob("runs/*/results/*")
        return max(
            (path.stat().st_mtime for path in (*self.bucket.pictures(), *results)), default=0
        )

    def _finish(self) -> None:
        with self._started("flow") as process:
            code = process.wait(PATIENCE_S)
        assert code == 0, (self.bucket.folder / "log").read_text()[-3000:]
        # A flow that outlived its worker may still be at its last words.
        _wait(lambda: not _strangers(self.bucket.folder))

    def _settle(self, account: Account, seen: Counter[str]) -> None:
        rows, pictures = self.bucket.results(), self.bucket.pictures()
        ids = Counter(row["row_id"] for row in rows)
        account.planned += PHOTOGRAPHS
        account.lost += len({str(number) for number in range(PHOTOGRAPHS)} - ids.keys())
        account.doubled += sum(count - 1 for count in ids.values())
        account.failed += sum(row["status"] != "made" for row in rows)
        made = {Path(row["output_uri"]): row for row in rows if row["status"] == "made"}
        account.broken += sum(
            not _is_whole(path, row["output_sha256"]) for path, row in made.items()
        )
        account.orphans += len(set(pictures) - made.keys())
        account.leftovers += sum(path.is_file() for path in self.bucket.output.rglob(".*"))
        account.leftovers += len(list((self.bucket.folder / "tmp").glob(".stylebatch*")))
        shard_of = {path.name: row["shard"] for path, row in made.items()}
        for name, count in seen.items():
            account.repeated += count - 1
            if shard_of[name] not in self._in_flight:
                account.repeated_elsewhere += count - 1


def _is_whole(path: Path, sha256: str) -> bool:
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        return False
    with Image.open(path) as picture:
        picture.load()
    return True


@contextmanager
def _noting_pictures(bucket: LocalBucket) -> Iterator[Counter[str]]:
    """Counts how often each picture appeared: a new file of an old name is another one."""
    seen: set[tuple[str, int, int]] = set()
    count: Counter[str] = Counter()
    done = threading.Event()

    def note() -> None:
        while not done.wait(0.02):
            look()

    def look() -> None:
        for path in bucket.pictures():
            with suppress(FileNotFoundError):
                status = path.stat()
                seen.add((path.name, status.st_ino, status.st_mtime_ns))

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield count
    finally:
        done.set()
        thread.join()
        look()
        count.update(name for name, _, _ in seen if not name.startswith("."))


def _kill(process: subprocess.Popen[bytes], *, with_children: bool) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if with_children else []
    process.kill()
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait(PATIENCE_S)
    psutil.wait_procs(children, PATIENCE_S)


def _strangers(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder and were not started by this one."""
    return [one for one in psutil.process_iter() if _works_in(one, folder)]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        environment = process.environ() if process.pid != os.getpid() else {}
        return environment.get("TMPDIR") == str(folder / "tmp")
    return False


def _wait(is_so: object) -> None:
    assert callable(is_so)
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def register(url: str) -> None:
    """A work pool of processes, and a deployment for it."""
    with temporary_settings({PREFECT_API_URL: url}):
        with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        deployed = stylize_manifest.to_deployment(
            POOL, work_pool_name=POOL, entrypoint_type=EntrypointType.MODULE_PATH
        )
        deployed.apply()
