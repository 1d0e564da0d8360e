"""Jobs of odd sizes and shapes through the real command line, with their time and memory."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import STYLEBATCH, Answer, clean_environment
from local_jobs import LocalBucket
from reliability import See
from sample_images import GREAT_WAVE, PHOTOGRAPHS, crop_jpeg

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.reliability,
    pytest.mark.timeout(3000),
]

MILLION = 1_000_000
STYLES = 10_000
# A small process between: of its children Linux tells the memory of whoever started them, too.
_LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
sys.exit(code)
"""


@dataclass(frozen=True)
class Measured:
    """A command that ended."""

    answer: Answer
    seconds: float
    cpu_s: float
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.cpu_s:.0f} s of them computing, {self.peak_mb:.0f} MB"


@dataclass(frozen=True)
class Shell:
    """A place to start commands in, beside a Prefect server."""

    home: Path
    url: str

    def measure(self, *words: str, **environment: str) -> Measured:
        """Run one command, and say what it took at most."""
        names = {"PREFECT_API_URL": self.url, "OMP_NUM_THREADS": "1", **environment}
        started = time.monotonic()
        paths = [self.home / "stdout.txt", self.home / "stderr.txt"]
        usage = self.home / "usage.json"
        with paths[0].open("w") as out, paths[1].open("w") as err:
            done = subprocess.run(
                [sys.executable, "-c", _LAUNCHER, str(usage), STYLEBATCH, *words],
                stdout=out,
                stderr=err,
                cwd=self.home,
                env=clean_environment(self.home, names),
                check=False,
            )
        seconds = time.monotonic() - started
        answer = Answer(done.returncode, *(path.read_text("utf-8") for path in paths))
        return Measured(answer, seconds, *json.loads(usage.read_text()))


@pytest.fixture
def shell(tmp_path: Path, prefect_url: str) -> Shell:
    return Shell(tmp_path, prefect_url)


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path)
    bucket.fill(2)
    return bucket


def job_words(bucket: LocalBucket, manifest: Path | str, *more: str) -> list[str]:
    """Options of a job that copies; its painting is of all rows that name none."""
    words = ["--manifest", str(manifest), "--output", str(bucket.output), "--method", "identity"]
    return [*words, "--max-side-px", "32", *more]


def write_lines(path: Path, lines: Iterable[object]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


@pytest.mark.parametrize("has_ids", [False, True])
def test_one_image_a_million_times_is_one_picture(
    bucket: LocalBucket, shell: Shell, seen: See, has_ids: bool
) -> None:
    rows: Iterable[dict[str, str]] = (
        {"file_name": "photo00.jpg", **({"id": f"row{n}"} if has_ids else {})}
        for n in range(MILLION)
    )
    manifest = write_lines(bucket.photographs / "m.jsonl", rows)
    words = job_words(bucket, manifest, "--style", str(bucket.folder / "wave.jpg"))
    run = shell.measure("run", *words)
    assert (run.answer.code, run.answer.lines[0]) == (0, "made 1, skipped 0, failed 0"), run.answer
    assert bucket.summary()["duplicates"] == MILLION - 1
    assert len(bucket.pictures()) == 1
    assert run.peak_mb < 1000
    how = "ids of their own" if has_ids else "no ids"
    seen(
        f"one image a million times in a manifest, rows with {how}",
        f"{MILLION - 1:,} duplicates dropped while planning, one picture made",
        str(run),
    )


def test_ten_thousand_styles_are_planned_and_made(
    bucket: LocalBucket, shell: Shell, seen: See
) -> None:
    (bucket.folder / "styles").mkdir()
    wave = crop_jpeg(GREAT_WAVE, (48, 48), offset=0)
    for number in range(STYLES):
        # Other bytes make another painting: what comes after the end of a JPEG is no part of it.
        data = wave + number.to_bytes(4, "little")
        (bucket.folder / "styles" / f"style{number:05d}.jpg").write_bytes(data)
    rows = (
        {"file_name": "photo00.jpg", "style_uri": f"{bucket.folder}/styles/style{n:05d}.jpg"}
        for n in range(STYLES)
    )
    manifest = write_lines(bucket.photographs / "m.jsonl", rows)
    words = job_words(bucket, manifest, "--allow", f"{bucket.folder}/styles/")
    plan = shell.measure("plan", *words)
    assert plan.answer.code == 0, plan.answer
    run = shell.measure("run", *words)
    assert run.answer.lines[0] == f"made {STYLES}, skipped 0, failed 0", run.answer
    assert len(bucket.pictures()) == STYLES
    again = shell.measure("run", *words)
    assert again.answer.lines[0] == f"made 0, skipped {STYLES}, failed 0", again.answer
    seen("10,000 styles, one picture each: plan", "says what would be done", str(plan))
    seen("10,000 styles, one picture each: run", f"{STYLES:,} pictures made", str(run))
    seen("10,000 styles, one picture each: started again", "nothing is made twice", str(again))


def test_an_empty_prefix_is_a_run_of_no_rows(bucket: LocalBucket, shell: Shell, seen: See) -> None:
    (bucket.folder / "empty").mkdir()
    words = job_words(bucket, f"{bucket.folder}/empty/", "--style", f"{bucket.folder}/wave.jpg")
    run = shell.measure("run", *words)
    assert (run.answer.code, run.answer.lines[0]) == (0, "made 0, skipped 0, failed 0"), run.answer
    assert bucket.summary()["planned"] == 0
    seen("an empty prefix", "a run of 0 rows, exit 0", f"{run.seconds:.0f} s")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Marquesas", "UTC+12"])
def test_a_machine_in_an_odd_time_zone_writes_utc(
    bucket: LocalBucket, shell: Shell, seen: See, zone: str
) -> None:
    words = job_words(bucket, f"{bucket.photographs}/", "--style", f"{bucket.folder}/wave.jpg")
    run = shell.measure("run", *words, TZ=zone)
    assert run.answer.lines[0] == "made 2, skipped 0, failed 0", run.answer
    finished = [row["finished_at"] for row in bucket.results()]
    lag = max(datetime.now(UTC) - moment for moment in finished)
    assert timedelta(0) <= lag < timedelta(minutes=5)
    again = shell.measure("run", *words, TZ="UTC")
    assert again.answer.lines[0] == "made 0, skipped 2, failed 0", again.answer
    seen(
        f"a machine in the time zone {zone}",
        "outcomes are told in UTC, and nothing is made twice in another zone",
        f"{lag.total_seconds():.0f} s between the outcomes and their reading",
    )


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_odd_names_pass_through_a_command_line_without_a_locale(
    bucket: LocalBucket, shell: Shell, seen: See, locale: str
) -> None:
    names = ["\u00e9.jpg", "e\u0301.jpg", "\U0001f3a8.jpg", "\u202egpj.\u0633.jpg"]
    folder = bucket.folder / "\u00fcn\u00efc\u00f6de \U0001f419"
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / name).write_bytes(crop_jpeg(PHOTOGRAPHS[0], (64, 48), offset=9 * number))
    (folder / "\u7834.jpg").write_bytes(b"broken")
    words = job_words(bucket, f"{folder}/", "--style", f"{bucket.folder}/wave.jpg")
    run = shell.measure("run", *words, LANG=locale, LC_ALL=locale)
    assert (run.answer.code, run.answer.lines[0]) == (3, "made 4, skipped 0, failed 1"), run.answer
    for command in ("status", "report", "verify", "retry"):
        code = shell.measure(command, run.answer.run_uri, LANG=locale, LC_ALL=locale).answer.code
        assert code == (3 if command == "retry" else 0), command
    assert {Path(row["content_uri"]).name for row in bucket.results()} > set(names)
    seen(
        f"names of every script on a command line with LC_ALL={locale}",
        "as with any locale",
        f"{len(names)} of {len(names)} made",
    )
