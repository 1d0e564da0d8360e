import gzip
import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sample_images import GREAT_WAVE, POPPIES

from stylecore.batch.ledger import RunLedger, RunRecord
from stylecore.batch.store import Store
from stylecore.config import StylizeJob
from stylecore.errors import JobError
from tasks.preparing import (
    digest_inputs,
    normalize_job,
    prepare_run,
    preview_run,
    read_input_files,
)
from tasks.style_files import style_digest, style_sources

Change = Callable[["Desk"], dict[str, Any]]


class Desk:
    """A manifest, paintings and an output in one folder; the photographs need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "in" / "manifest.jsonl"
        for name in ("in", "styles", "out"):
            (folder / name).mkdir()
        for painting in (GREAT_WAVE, POPPIES):
            (folder / "styles" / painting.name).write_bytes(painting.read_bytes())
        self.write_rows(*({"content_uri": f"{number}.jpg"} for number in range(5)))

    def write_rows(self, *rows: dict[str, Any]) -> None:
        self.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def append_row(self, **row: Any) -> None:
        with self.manifest.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def job(self, **values: Any) -> StylizeJob:
        plain: dict[str, Any] = {
            "manifest_uri": str(self.manifest),
            "styles": [str(self.folder / "styles" / GREAT_WAVE.name)],
            "output_uri": str(self.folder / "out"),
            "method": "identity",
            "limits": {"rows_per_shard": 2},
        }
        return StylizeJob.model_validate(plain | values)

    def prepare(self, **values: Any) -> RunLedger:
        return prepare_run(Store(), self.job(**values))

    def run_id(self, **values: Any) -> str:
        return preview_run(Store(), self.job(**values)).run_id

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Everything under the output: age and bytes."""
        return {
            str(path.relative_to(self.folder)): (path.stat().st_mtime_ns, path.read_bytes())
            for path in (self.folder / "out").rglob("*")
            if path.is_file()
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_planned_run_has_a_file_for_every_shard_and_a_record_of_what_went_in(desk: Desk) -> None:
    ledger = desk.prepare()
    record = ledger.record
    assert (record.rows, record.planned, record.duplicates) == (5, 5, 0)
    assert [shard.rows for shard in record.shards] == [2, 2, 1]
    assert sorted(name.rpartition("/")[2] for name in desk.files()) == [
        "00000.parquet",
        "00001.parquet",
        "00002.parquet",
        "job.json",
    ]
    assert record.manifest_digest == hashlib.sha256(desk.manifest.read_bytes()).hexdigest()
    painting = hashlib.sha256(GREAT_WAVE.read_bytes()).hexdigest()
    assert record.styles[0].digest == style_digest([GREAT_WAVE.read_bytes()], (1.0,)) != painting
    assert record.versions["stylebatch"]
    assert ledger.run_id == record.run_id == desk.run_id()


def test_plan_files_are_plain_parquet_with_whole_uris(desk: Desk) -> None:
    ledger = desk.prepare()
    table = pq.read_table(ledger.uri("plan", "00002.parquet"))
    assert table["row_id"].to_pylist() == ["4"]
    assert table["content_uri"].to_pylist() == [f"{desk.folder}/in/4.jpg"]
    assert table["style"].to_pylist() == ["great_wave"]


def test_planning_a_planned_job_finds_it_and_rewrites_nothing(desk: Desk) -> None:
    first = desk.prepare()
    before = desk.files()
    assert desk.prepare().run_uri == first.run_uri
    assert desk.files() == before


def change_manifest(desk: Desk) -> dict[str, Any]:
    desk.append_row(content_uri="new.jpg")
    return {}


def change_painting(desk: Desk) -> dict[str, Any]:
    (desk.folder / "styles" / GREAT_WAVE.name).write_bytes(POPPIES.read_bytes())
    return {}


@pytest.mark.parametrize(
    "change",
    [
        change_manifest,
        change_painting,
        lambda desk: {"max_side_px": 500},
        lambda desk: {"output": {"format": "png"}},
        lambda desk: {"run_key": "again"},
        lambda desk: {"styles": [str(desk.folder / "styles" / POPPIES.name)]},
        lambda desk: {"allow": ["s3://other"]},
        lambda desk: {"limits": {"max_bytes": 1000 * 1000}},
        lambda desk: {"method": "optimize"},
    ],
)
def test_what_would_make_other_outcomes_is_another_run(desk: Desk, change: Change) -> None:
    before = desk.run_id()
    assert desk.run_id(**change(desk)) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: {"device": "cpu"},
        lambda desk: {"limits": {"rows_per_shard": 3}},
        lambda desk: {"preset": "fine", "seed": 7},
        lambda desk: {"output_uri": str(desk.folder / "elsewhere")},
        lambda desk: {"manifest_uri": f"file://{desk.manifest}"},
    ],
)
def test_what_would_make_the_same_outcomes_is_the_same_run(desk: Desk, change: Change) -> None:
    before = desk.run_id()
    assert desk.run_id(**change(desk)) == before


def test_other_weights_under_the_same_name_are_another_run(desk: Desk) -> None:
    weights = desk.folder / "weights.safetensors"
    job = {"method": "optimize", "optimize": {"encoder_weights_uri": str(weights)}}
    weights.write_bytes(b"one")
    before = desk.run_id(**job)
    weights.write_bytes(b"two")
    assert desk.run_id(**job) != before


def test_the_same_bytes_read_as_another_format_are_another_run(desk: Desk) -> None:
    text, table = desk.folder / "in" / "a.txt", desk.folder / "in" / "a.csv"
    for path in (text, table):
        path.write_text("content_uri\na.jpg\n")
    assert desk.run_id(manifest_uri=str(text)) != desk.run_id(manifest_uri=str(table))


def test_an_interrupted_plan_is_made_again_byte_for_byte(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RunLedger, "complete_plan", lambda *_: (_ for _ in ()).throw(OSError))
        with pytest.raises(OSError):  # noqa: PT011 - any will do
            desk.prepare()
    before = desk.files()
    assert not any(name.endswith("job.json") for name in before)
    ledger = desk.prepare()
    assert ledger.is_planned()
    after = desk.files()
    assert len(before) == 3
    assert {name: after[name][1] for name in before} == {n: data for n, (_, data) in before.items()}


def test_many_who_plan_one_job_at_once_agree_on_one_plan(desk: Desk) -> None:
    records: list[RunRecord] = []
    threads = [
        threading.Thread(target=lambda: records.append(desk.prepare().record)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records) == 4
    assert all(record == records[0] for record in records)


def test_a_preview_says_what_planning_does_and_writes_nothing(desk: Desk) -> None:
    desk.append_row(content_uri="0.jpg")
    desk.append_row(content_uri="http://elsewhere/x.jpg")
    preview = preview_run(Store(), desk.job())
    assert desk.files() == {}
    record = desk.prepare().record
    scan = preview.scan
    assert (scan.rows, scan.planned, scan.duplicates) == (7, 6, 1)
    assert (record.rows, record.planned, record.duplicates) == (7, 6, 1)
    assert dict(scan.rejected) == record.rejected == {"not_allowed": 1}
    assert (preview.run_id, preview.shards) == (record.run_id, len(record.shards))
    assert preview.estimate.seconds > 0


@pytest.mark.parametrize(
    ("rows", "values", "reason"),
    [
        ([{"content_uri": "a.jpg"}], {"styles": ["/nowhere/x.jpg"]}, "style.*nowhere"),
        ([{"content_uri": "a.jpg"}], {"styles": ["http://x/y.jpg"]}, "style.*http"),
        ([{"content_uri": "a.jpg"}], {"styles": []}, "names no style"),
        ([{"content_uri": "a", "id": "x"}, {"content_uri": "b", "id": "x"}], {}, "row 2 repeats"),
        ([{"content_uri": "s3://other/a.jpg"}], {}, "--allow s3://other"),
        ([{"picture": "a.jpg"}], {}, "line 1: a column content_uri"),
        ([], {}, "no rows"),
        (
            [{"content_uri": "a.jpg"}],
            {"method": "optimize", "optimize": {"style_layers": ["relu9_9"]}},
            "relu9_9",
        ),
        (
            [{"content_uri": "a.jpg"}],
            {"method": "optimize", "optimize": {"encoder_weights_uri": "/nowhere/w"}},
            "nowhere",
        ),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_no_run(
    desk: Desk, rows: list[dict[str, Any]], values: dict[str, Any], reason: str
) -> None:
    desk.write_rows(*rows)
    with pytest.raises(JobError, match=reason):
        desk.prepare(**values)
    assert desk.files() == {}


def test_a_style_that_is_no_picture_is_a_wrong_request(desk: Desk) -> None:
    with pytest.raises(JobError, match=r"style.*manifest\.jsonl"):
        desk.prepare(styles=[str(desk.manifest)])


def test_an_empty_folder_is_a_run_of_nothing(desk: Desk) -> None:
    (desk.folder / "inbox").mkdir()
    record = desk.prepare(manifest_uri=f"{desk.folder}/inbox/").record
    assert (record.planned, record.shards) == (0, ())
    assert [style.name for style in record.styles] == ["great_wave"]


def test_a_folder_is_listed_and_a_new_upload_is_another_run(desk: Desk) -> None:
    inbox = desk.folder / "inbox"
    inbox.mkdir()
    (inbox / "a.jpg").write_bytes(b"a")
    first = desk.prepare(manifest_uri=f"{inbox}/")
    (inbox / "b.jpg").write_bytes(b"b")
    second = desk.prepare(manifest_uri=f"{inbox}/")
    assert [row.content_uri for row in first.read_shard(0).rows] == [f"{inbox}/a.jpg"]
    assert (first.record.planned, second.record.planned) == (1, 2)
    assert first.run_id != second.run_id


def test_a_gzipped_manifest_is_planned_like_the_plain_one(desk: Desk) -> None:
    packed = desk.folder / "in" / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(desk.manifest.read_bytes()))
    rows = [
        desk.prepare(manifest_uri=str(uri)).read_shard(0).rows for uri in (desk.manifest, packed)
    ]
    assert rows[0] == rows[1]


def test_rows_bring_styles_of_their_own_whose_digest_is_not_known_yet(desk: Desk) -> None:
    desk.append_row(content_uri="0.jpg", style_uri="mine.jpg")
    record = desk.prepare().record
    assert [(style.name, style.digest is None) for style in record.styles] == [
        ("great_wave", False),
        ("mine", True),
    ]
    assert record.styles[1].uris == (f"{desk.folder}/in/mine.jpg",)


def test_styles_with_weights_are_one_blend_and_without_are_one_each(desk: Desk) -> None:
    uris = [str(desk.folder / "styles" / path.name) for path in (GREAT_WAVE, POPPIES)]
    blend = [{"uri": uri, "weight": weight} for uri, weight in zip(uris, (1, 3), strict=True)]
    assert style_sources(desk.job(styles=blend)) == [(tuple(uris), (0.25, 0.75))]
    assert style_sources(desk.job(styles=[*uris, uris[0]])) == [((uri,), (1.0,)) for uri in uris]
    assert desk.prepare(styles=blend).record.styles[0].name == "great_wave-and-poppies"


def test_with_regions_the_styles_are_one_without_weights_too(desk: Desk) -> None:
    uris = [str(desk.folder / "styles" / path.name) for path in (GREAT_WAVE, POPPIES)]
    assert style_sources(desk.job(styles=uris, regions=True)) == [(tuple(uris), (0.5, 0.5))]
    assert style_sources(desk.job(styles=[], regions=True)) == []


def test_a_styles_digest_is_of_its_bytes_and_shares() -> None:
    base = style_digest([b"a", b"b"], (0.5, 0.5))
    assert style_digest([b"a", b"b"], [0.5, 0.5]) == base
    assert style_digest([b"a", b"c"], (0.5, 0.5)) != base
    assert style_digest([b"a", b"b"], (0.25, 0.75)) != base


def test_the_digest_of_inputs_covers_weights_and_the_picture_to_start_from(desk: Desk) -> None:
    def digest(**optimize: str) -> str:
        job = desk.job(method="optimize", optimize=optimize)
        return digest_inputs(job, read_input_files(Store(), job))

    start = str(desk.folder / "styles" / POPPIES.name)
    digests = [
        digest(),
        digest(encoder="vgg19"),
        digest(init="image", init_uri=start),
        digest(encoder_weights_uri=str(desk.manifest)),
    ]
    assert len(set(digests)) == 4
    assert digest_inputs(desk.job(), read_input_files(Store(), desk.job())) == ""


def test_every_uri_of_a_job_is_made_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    job = normalize_job(
        desk.job(
            manifest_uri="in/../in/",
            styles=[f"styles/{POPPIES.name}"],
            output_uri="./out/",
            optimize={
                "encoder_weights_uri": "w.safetensors",
                "init": "image",
                "init_uri": f"file://{desk.folder}/start.jpg",
            },
        )
    )
    assert job.manifest_uri == f"{desk.folder}/in/"
    assert job.styles[0].uri == f"{desk.folder}/styles/{POPPIES.name}"
    assert job.output_uri == f"{desk.folder}/out"
    assert job.optimize.encoder_weights_uri == f"{desk.folder}/w.safetensors"
    assert job.optimize.init_uri == f"{desk.folder}/start.jpg"
