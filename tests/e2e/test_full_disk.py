"""A disk without room, for pictures and for the manifest's copy: a clean stop, and a way on."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import STYLEBATCH, Answer, clean_environment
from local_jobs import LocalBucket
from reliability import See
from sample_images import make_many_photographs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.reliability]

PHOTOGRAPHS = 40
# A disk of its own, seen by this shell alone, so that nobody has to be root.
ON_A_SMALL_DISK = """
set -u
mkdir -p disk
mount -t tmpfs -o size=$SIZE none disk
i=0
for step in "$@"; do
    i=$((i + 1))
    sh -c "$step" >$i.out 2>$i.err
    echo $? >$i.code
done
cp -r disk kept
"""


@dataclass(frozen=True)
class SmallDisk:
    """A folder in which some commands are run beside a small disk; ``kept`` is a copy of it."""

    home: Path
    prefect_url: str

    def run(self, *steps: str, size: str, tmpdir: str = "/tmp") -> list[Answer]:
        """Run commands one after the other, and say what each answered."""
        names = {"PREFECT_API_URL": self.prefect_url, "SIZE": size, "TMPDIR": tmpdir}
        subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK]
            + ["sh", *steps],
            cwd=self.home,
            env=clean_environment(self.home, names),
            timeout=280,
            check=True,
        )
        return [self._answer(number + 1) for number in range(len(steps))]

    def _answer(self, number: int) -> Answer:
        out, err, code = (
            (self.home / f"{number}.{part}").read_text() for part in ("out", "err", "code")
        )
        return Answer(int(code), out, err)


@pytest.fixture
def disk(tmp_path: Path, prefect_url: str) -> SmallDisk:
    """Photographs beside it, whose pictures need more room."""
    bucket = LocalBucket(tmp_path)
    bucket.fill(0)
    for name, data in make_many_photographs(PHOTOGRAPHS).items():
        (bucket.photographs / name).write_bytes(data)
    (bucket.folder / "job.yaml").write_text(
        "manifest_uri: in/\nstyles: [wave.jpg]\noutput_uri: disk/out\nmethod: identity\n"
        "max_side_px: 256\nlimits: {rows_per_shard: 4}\noutput: {format: png}\n"
    )
    return SmallDisk(bucket.folder, prefect_url)


RUN = f"{STYLEBATCH} run job.yaml"


def test_a_full_disk_stops_the_run_and_with_room_it_goes_on(disk: SmallDisk, seen: See) -> None:
    steps = (f"date +%s >begun; {RUN}; code=$?; date +%s >ended; exit $code", "cp -r disk full")
    stopped, _, _, done = disk.run(*steps, "mount -o remount,size=90% disk", RUN, size="400k")
    assert stopped.code == 1, stopped
    assert "no room is left" in stopped.stderr
    assert "start the job again" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert done.code == 0, done
    made = int(done.lines[0].split()[1].rstrip(","))
    assert 0 < made < PHOTOGRAPHS  # the others were there
    assert {row["status"] for row in results(disk.home / "full")} <= {"made"}
    rows = results(disk.home / "kept")
    assert sorted(int(row["row_id"]) for row in rows) == list(range(PHOTOGRAPHS))
    for row in rows:
        picture = disk.home / "kept" / Path(row["output_uri"]).relative_to(disk.home / "disk")
        assert hashlib.sha256(picture.read_bytes()).hexdigest() == row["output_sha256"]
    assert [path for path in (disk.home / "kept").rglob(".*") if path.is_file()] == []
    seconds = int((disk.home / "ended").read_text()) - int((disk.home / "begun").read_text())
    seen(
        "the output's disk is full",
        "the run stops, no row fails; with room, the next start makes the rest",
        f"stopped after {seconds} s, {PHOTOGRAPHS - made} of {PHOTOGRAPHS} kept",
    )


def test_without_room_for_the_manifests_copy_nothing_is_started(disk: SmallDisk, seen: See) -> None:
    row = {"uri": "in/photo000.jpg", "x": "y" * 200}
    lines = (json.dumps({**row, "id": str(number)}) for number in range(9000))
    (disk.home / "many.jsonl").write_text("\n".join(lines))
    command = f"{STYLEBATCH} run --manifest many.jsonl --style wave.jpg --output out"
    (answer,) = disk.run(command, size="700k", tmpdir=str(disk.home / "disk"))
    assert answer.code == 2, answer
    assert "no room is left" in answer.stderr
    assert "TMPDIR" in answer.stderr
    assert list((disk.home / "out").rglob("*.parquet")) == []
    seen("the disk for the manifest's copy is full", "exit code 2, nothing is planned", "-")


def results(folder: Path) -> list[dict[str, object]]:
    """All lines of the results below a folder."""
    return [row for path in folder.rglob("results/*") for row in pq.read_table(path).to_pylist()]
