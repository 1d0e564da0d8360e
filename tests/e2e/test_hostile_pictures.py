"""Awkward, malicious and very large pictures through ``stylebatch run``: outcomes and memory."""

import json
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from buckets import Workplace
from command_line import STYLEBATCH, Answer, clean_environment
from large_pictures import LARGE
from reliability import See
from sample_images import GREAT_WAVE, make_photographs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.reliability]

HOSTILE = Path(__file__).parent.parent / "hostile"
INDEX = json.loads((HOSTILE / "index.json").read_text(encoding="utf-8"))
CASES = INDEX["cases"]
# One picture takes 400 MB at most (tests/stylecore/images/test_decoder_memory.py); the files that
# wait for their turn, and what the C library keeps for each thread, come on top.
ALLOWED_MB = 550
REFUSED_NAMES = {"bad_key", "not_allowed"}


def request(manifest: object, style: object, output: object) -> list[str]:
    words = ["--manifest", str(manifest), "--style", str(style), "--output", str(output)]
    return [*words, "--method", "identity", "--max-side-px", "512"]


def test_every_file_of_the_hostile_corpus_gets_its_own_outcome(
    workplace: Workplace, seen: See
) -> None:
    workplace.put(
        {case["file"]: (HOSTILE / case["file"]).read_bytes() for case in CASES}, "inbox/h"
    )
    workplace.put({"style.jpg": GREAT_WAVE.read_bytes()}, "inbox/h-style")
    workplace.put_manifest(
        "s3://inbox/h/m.jsonl", ({"id": c["file"], "uri": c["file"]} for c in CASES)
    )
    started = time.monotonic()
    where = ("s3://inbox/h/m.jsonl", "s3://inbox/h-style/style.jpg", "s3://outbox/h")
    answer = workplace.stylebatch("run", *request(*where))
    seconds = time.monotonic() - started
    assert answer.code == 3, answer
    expected = {case["file"]: case.get("reason", "made") for case in CASES}
    rows = workplace.results(answer.run_uri)
    assert {row["row_id"]: row["error_code"] or row["status"] for row in rows} == expected
    sizes = {row["row_id"]: [row["width_px"], row["height_px"]] for row in rows}
    assert all(sizes[case["file"]] == case["size"] for case in CASES if case["expect"] == "ok")
    seen(
        f"a run over {len(CASES)} awkward and malicious picture files in a bucket",
        f"{sum(c['expect'] == 'ok' for c in CASES)} made, each other refused with its own code",
        f"{seconds:.0f} s with the start of the process",
    )


def test_hostile_names_are_refused_and_odd_ones_made(workplace: Workplace, seen: See) -> None:
    photograph = next(iter(make_photographs(1).values()))
    good = [case["key"] for case in INDEX["keys"] if case["expect"] == "ok"]
    workplace.put(dict.fromkeys((*good, "photos/a.jpg", "a.jpg"), photograph), "inbox")
    workplace.put({"style.jpg": GREAT_WAVE.read_bytes()}, "inbox/h-style")
    uris = {f"s3://inbox/{case['key']}": case["expect"] for case in INDEX["keys"]}
    uris |= {case["uri"]: case["expect"] for case in INDEX["uris"] if case["uri"]}
    rows = ({"id": f"row{at}", "content_uri": uri} for at, uri in enumerate(uris))
    workplace.put_manifest("s3://inbox/names.jsonl", rows)
    where = ("s3://inbox/names.jsonl", "s3://inbox/h-style/style.jpg", "s3://outbox/names")
    answer = workplace.stylebatch("run", *request(*where))
    assert answer.code == 3, answer
    outcomes = {row["row_id"]: row for row in workplace.results(answer.run_uri)}
    for at, expect in enumerate(uris.values()):
        row = outcomes[f"row{at}"]
        assert (row["status"], row["error_code"] in REFUSED_NAMES) == (
            ("made", False) if expect == "ok" else ("failed", True)
        )
    assert "user:pw" not in json.dumps(list(outcomes.values()), default=str) + answer.stderr
    refused = sum(expect != "ok" for expect in uris.values())
    seen(
        f"{len(uris)} odd and hostile object names and URIs in a manifest",
        "each is made, or refused before anything is opened",
        f"{len(uris) - refused} made, {refused} refused",
    )


@pytest.mark.timeout(1800)
def test_large_pictures_together_take_little_more_memory_than_one(
    workplace: Workplace, tmp_path: Path, seen: See
) -> None:
    idle_mb, _ = run_measured(
        workplace, tmp_path / "idle", {"a.jpg": make_photographs(1).popitem()[1]}
    )
    peak_mb, rows = run_measured(
        workplace, tmp_path / "large", {name: make() for name, make in LARGE.items()}
    )
    assert {row["status"] for row in rows} == {"made"}
    assert len(rows) == len(LARGE)
    rise = peak_mb - idle_mb
    assert 100 < rise < ALLOWED_MB
    seen(
        f"a run over {len(LARGE)} pictures of 24 to 49 megapixels, in every layout",
        "each made, decoded one at a time",
        f"{rise:.0f} MB above the same process with a small picture ({idle_mb:.0f} MB)",
    )


def run_measured(
    workplace: Workplace, folder: Path, files: Mapping[str, bytes]
) -> tuple[float, list[dict[str, Any]]]:
    """The highest resident memory of a run over local files in MB, and its results."""
    photographs = folder / "in"
    photographs.mkdir(parents=True)
    (folder / "style.jpg").write_bytes(GREAT_WAVE.read_bytes())
    for name, data in files.items():
        (photographs / name).write_bytes(data)
    words = request(f"{photographs}/", folder / "style.jpg", folder / "out")
    answer, peak_mb = watch_memory(workplace, *words)
    assert answer.code == 0, answer
    return peak_mb, workplace_rows(folder / "out")


def workplace_rows(output: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    files = output.glob("runs/*/results/*.parquet")
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def watch_memory(workplace: Workplace, *words: str) -> tuple[Answer, float]:
    """Run the command, asking the system meanwhile for the peak of its memory, in MB."""
    environment = clean_environment(workplace.home, {"PREFECT_API_URL": workplace.prefect_url})
    process = subprocess.Popen(
        [STYLEBATCH, "run", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    status, peak_mb = Path(f"/proc/{process.pid}/status"), 0.0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        peak_mb = max(peak_mb, int(found[1]) * 1024 / 1e6) if found else peak_mb
        time.sleep(0.02)
    output = process.communicate()[0]
    return Answer(process.returncode, output, ""), peak_mb
