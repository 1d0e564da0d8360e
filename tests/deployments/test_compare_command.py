"""``score`` and ``compare`` as a person meets them: tables, files, votes, and wrong requests."""

import json
from pathlib import Path

import pytest
from command_line import Answer, run_stylebatch
from local_jobs import LocalBucket
from stub_stylizers import install_invert

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks.preparing import prepare_run
from tasks.shard_work import ShardRequest, work_through_shard

# One thread: other tests run beside this one.
QUIET = {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunLedger]:
    """Two photographs copied, and with inverted colors; nothing is scored."""
    bucket = LocalBucket(tmp_path)
    bucket.fill(2)
    found = []
    for method in ("identity", "optimize"):
        run = prepare_run(Store(), bucket.job(method=method))
        work_through_shard(run, ShardRequest(run.run_uri, 0, run.run_id))
        found.append(run)
        install_invert(monkeypatch)
    return found


def say(folder: Path, *words: str) -> Answer:
    return run_stylebatch(*words, home=folder, environment=QUIET)


def names(runs: list[RunLedger]) -> list[str]:
    return [run.run_uri for run in runs]


@pytest.mark.slow
def test_a_comparison_scores_prints_a_table_and_takes_votes_back(
    runs: list[RunLedger], tmp_path: Path
) -> None:
    answer = say(tmp_path, "compare", *names(runs), "--output", "compared")
    assert answer.code == 0, answer
    assert answer.lines[2] == "2 pairs; only in A 0, only in B 0"
    assert [line.split()[0] for line in answer.lines[3:6]] == ["measure", "fdRL", "swdL"]
    assert answer.lines[-1] == str(tmp_path / "compared" / "compare.html")
    again = say(tmp_path, "score", runs[0].run_uri)
    assert (again.code, again.lines[0]) == (0, "scored 2 of 2 pictures")
    assert again.lines[-1] == runs[0].uri("scores.json")
    votes = vote_for_b(tmp_path)
    other = tmp_path / "other.json"
    other.write_bytes(Path(votes).read_bytes())
    counted = say(tmp_path, "compare", *names(runs), "--votes", votes, "--votes", str(other))
    assert counted.lines[2] == "A better 0, B better 4, no difference 0", counted
    assert counted.lines[3].startswith("B was preferred in 100.0% of 4 decided votes (51.0%")


def vote_for_b(folder: Path) -> str:
    key = json.loads((folder / "compared" / "compare.json").read_text())
    votes = [
        {"pair": side["pair"], "choice": "left" if side["left"] == "b" else "right"}
        for side in key["blind"]
    ]
    path = folder / "votes.json"
    path.write_text(json.dumps({"comparison": key["comparison"], "votes": votes}))
    return str(path)


def test_votes_that_are_none_are_refused_with_the_files_name(
    runs: list[RunLedger], tmp_path: Path
) -> None:
    (tmp_path / "mine.json").write_text("{}")
    answer = say(tmp_path, "compare", *names(runs), "--votes", "mine.json")
    assert (answer.code, answer.stdout) == (2, ""), answer
    assert "mine.json: not a file of votes" in answer.stderr
    missing = say(tmp_path, "compare", *names(runs), "--votes", "no.json")
    assert (missing.code, "no.json" in missing.stderr) == (2, True), missing


def test_a_run_is_not_compared_with_itself(runs: list[RunLedger], tmp_path: Path) -> None:
    answer = say(tmp_path, "compare", *names([runs[0], runs[0]]), "--output", "compared")
    assert answer.code == 2, answer
    assert "the same run" in answer.stderr
    assert not (tmp_path / "compared").exists()
