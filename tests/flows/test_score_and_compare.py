"""Scoring and comparing as flows: twice is once, and a comparison scores what is not scored."""

from pathlib import Path
from typing import Any

import pytest
from local_jobs import LocalBucket
from prefect.artifacts import Artifact
from stub_stylizers import install_invert

from flows.compare_runs import compare_runs
from flows.score_run import score_run
from flows.stylize_manifest import stylize_manifest
from stylecore.batch.votes import comparison_id
from tasks.scoring import score_shard

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness")]


@pytest.fixture
def run_uris(bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Runs of two shards, of three copied photographs and of three inverted ones."""
    bucket.fill(3)
    uris: list[str] = []
    for method in ("identity", "optimize"):
        stylize_manifest(bucket.job(method=method, limits={"rows_per_shard": 2}))
        uris += [str(path) for path in bucket.output.glob("runs/*") if str(path) not in uris]
        install_invert(monkeypatch)
    return uris[0], uris[1]


def test_scoring_twice_measures_once_and_shows_a_table(run_uris: tuple[str, str]) -> None:
    state = score_run(run_uris[0], return_state=True)
    assert (state.is_completed(), state.message) == (True, "scored 3 pictures")
    files = sorted(Path(run_uris[0], "scores").iterdir())
    assert [path.name for path in files] == [
        f"{n:05d}.{kind}" for n in (0, 1) for kind in ("parquet", "safetensors")
    ]
    before = [path.stat().st_mtime_ns for path in files]
    assert score_run(run_uris[0], return_state=True).is_completed()
    assert [path.stat().st_mtime_ns for path in files] == before
    artifact = Artifact.get(f"scores-{Path(run_uris[0]).name}")
    assert artifact is not None
    assert "swdL" in str(artifact.data)


def test_a_comparison_scores_what_is_not_scored_and_writes_its_page(
    run_uris: tuple[str, str], tmp_path: Path
) -> None:
    state = compare_runs(*run_uris, str(tmp_path / "compared"), return_state=True)
    assert (state.is_completed(), state.message) == (True, "compared 3 pairs")
    names = sorted(path.name for path in (tmp_path / "compared").iterdir())
    assert names == ["compare.html", "compare.json"]
    assert all(Path(uri, "scores.json").exists() for uri in run_uris)
    name = comparison_id(*(Path(uri).name for uri in run_uris))
    assert Artifact.get(f"comparison-{name}") is not None


def test_a_painting_that_changed_fails_the_scoring_without_trying_again_and_says_so(
    bucket: LocalBucket, run_uris: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def count(*arguments: Any) -> int:
        tries.append(arguments)
        return score_shard(*arguments)

    monkeypatch.setattr("tasks.score_shards.score_shard", count)
    (bucket.folder / "wave.jpg").write_bytes((bucket.photographs / "photo00.jpg").read_bytes())
    state = score_run(run_uris[0], return_state=True)
    assert state.is_failed()
    assert "could not be scored" in str(state.message)
    assert len(tries) == 2  # once for each shard
    assert not list(Path(run_uris[0]).glob("scores/*"))
