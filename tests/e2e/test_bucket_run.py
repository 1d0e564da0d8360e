"""The main job between real servers: photographs in a bucket, two styles, three runs."""

import hashlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
from buckets import Row, Workplace
from command_line import Answer
from PIL import Image
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from sample_images import GREAT_WAVE, POPPIES, make_photographs

from stylecore.batch.outcome import OUTCOME_SCHEMA

pytestmark = pytest.mark.e2e

INBOX = "inbox/main"
OUTPUT = "s3://outbox/main"
MANIFEST = f"s3://{INBOX}/manifest.jsonl"
STYLES = ("great_wave", "poppies")
PHOTOGRAPHS = make_photographs(12)
ROWS: Sequence[Row] = [
    {"id": f"p{number}", "file_name": name, "album": "summer", "stars": number}
    for number, name in enumerate(PHOTOGRAPHS)
]
SERVER_LAG_S = 20
Listing = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Run:
    """A finished run and what the output bucket holds after it."""

    answer: Answer
    after: Listing

    @property
    def uri(self) -> str:
        """<output>/runs/<run id>."""
        return self.answer.run_uri

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.uri.rpartition("/")[2]


@pytest.fixture(scope="module")
def first(workplace: Workplace) -> Run:
    """Ten photographs in two styles, from nothing."""
    workplace.put(dict(list(PHOTOGRAPHS.items())[:10]), INBOX)
    workplace.put({f"{path.stem}.jpg": path.read_bytes() for path in (GREAT_WAVE, POPPIES)}, INBOX)
    workplace.put_manifest(MANIFEST, ROWS[:10])
    return run(workplace)


@pytest.fixture(scope="module")
def second(workplace: Workplace, first: Run) -> Run:
    """The same command again."""
    assert first.answer.code == 0, first.answer
    return run(workplace)


@pytest.fixture(scope="module")
def appended(workplace: Workplace, second: Run) -> Run:
    """The same command after two rows were appended to the manifest."""
    assert second.answer.code == 0, second.answer
    workplace.put(dict(list(PHOTOGRAPHS.items())[10:]), INBOX)
    workplace.put_manifest(MANIFEST, ROWS)
    return run(workplace)


@pytest.fixture(scope="module")
def prefect(workplace: Workplace) -> Iterator[SyncPrefectClient]:
    """An independent look at the Prefect server."""
    with (
        temporary_settings({PREFECT_API_URL: workplace.prefect_url}),
        get_client(sync_client=True) as client,
    ):
        yield client


def run(workplace: Workplace) -> Run:
    styles = [word for name in STYLES for word in ("--style", f"s3://{INBOX}/{name}.jpg")]
    answer = workplace.stylebatch(
        *("run", "--manifest", MANIFEST, *styles, "--output", OUTPUT),
        *("--max-side-px", "64", "--set", "optimize.num_evaluations=2"),
        *("--set", "limits.rows_per_shard=10"),
    )
    return Run(answer, workplace.listing("outbox/main"))


def test_a_run_makes_a_picture_of_every_photograph_in_every_style(
    workplace: Workplace, first: Run
) -> None:
    assert (first.answer.code, first.answer.lines[0]) == (0, "made 20, skipped 0, failed 0")
    pictures = pictures_in(first.after)
    assert len(pictures) == 20
    for name in STYLES:
        assert sum(key.startswith(f"outbox/main/images/{name}/photo") for key in pictures) == 10
    for key in pictures:
        with Image.open(io.BytesIO(workplace.read(key))) as picture:
            picture.load()
            assert (picture.format, picture.mode, max(picture.size)) == ("JPEG", "RGB", 64)
    seven = sizes(workplace, [key for key in pictures if "photo07" in key])
    assert seven == {(43, 64)}  # it stands upright, 64 x 96


def test_pictures_of_two_styles_and_two_photographs_are_all_different(
    workplace: Workplace, first: Run
) -> None:
    etags = [etag for etag, _ in pictures_in(first.after).values()]
    assert len(set(etags)) == 20


def test_results_have_a_line_for_every_picture_with_its_figures(
    workplace: Workplace, first: Run
) -> None:
    rows = workplace.results(first.uri)
    assert list(rows[0]) == [*OUTCOME_SCHEMA.names, "album", "stars"]
    assert {(row["row_id"], row["style"]) for row in rows} == {
        (f"p{number}", style) for number in range(10) for style in STYLES
    }
    for row in rows:
        assert (row["status"], row["error_code"], row["attempt"]) == ("made", None, 1)
        assert (row["evaluations"], row["device"], row["album"]) == (2, "cpu", "summer")
        assert row["seconds"] > 0
        assert row["total_loss"] == pytest.approx(row["content_loss"] + 1e6 * row["style_loss"])
        assert 0 < row["lpips_content"] < 1
        assert 0 < row["ssim_content"] <= 1
        assert max(row["width_px"], row["height_px"]) == 64
        assert row["output_uri"].removeprefix("s3://") in first.after
        assert row["fingerprint"][:12] in row["output_uri"]
        assert row["content_version"] == etag_of(workplace, row["content_uri"])
        assert str(row["finished_at"].tzinfo) == "UTC"


def test_the_digest_in_the_results_is_that_of_the_picture(workplace: Workplace, first: Run) -> None:
    for row in workplace.results(first.uri)[::7]:
        data = workplace.read(row["output_uri"])
        assert hashlib.sha256(data).hexdigest() == row["output_sha256"]


def test_summary_and_report_tell_the_totals(workplace: Workplace, first: Run) -> None:
    summary = workplace.read_json(f"{first.uri}/summary.json")
    totals = {key: summary[key] for key in ("planned", "made", "skipped", "failed", "duplicates")}
    assert totals == {"planned": 20, "made": 20, "skipped": 0, "failed": 0, "duplicates": 0}
    assert (summary["run_id"], summary["failed_by_code"]) == (first.run_id, {})
    assert summary["images_per_second"] == pytest.approx(20 / summary["seconds"], rel=0.01)
    page = workplace.read(f"{first.uri}/report.html").decode()
    assert page.count("data:image/jpeg;base64,") >= 20 * 2
    assert "http://" not in page.replace(first.uri, "")


def test_the_job_file_holds_expanded_values_and_no_credentials(
    workplace: Workplace, first: Run
) -> None:
    text = workplace.read(f"{first.uri}/job.json").decode()
    record = json.loads(text)
    assert record["job"]["optimize"]["num_evaluations"] == 2
    assert record["versions"]["torch"]
    assert workplace.s3.secret_key not in text


def test_the_server_shows_the_run_completed_with_named_task_runs(
    prefect: SyncPrefectClient, first: Run
) -> None:
    flow_run = flow_run_of(prefect, first)
    assert flow_run.name == "manifest in great_wave, poppies, standard"
    assert (flow_run.state_name, flow_run.state.message) == (
        "Completed",
        "made 20, skipped 0, failed 0",
    )
    names = task_run_names(prefect, flow_run.id, 4)
    assert {"great_wave, shard 00000, 10 pictures", "poppies, shard 00001, 10 pictures"} <= names
    rest = {name for name in names if "pictures" not in name}
    assert rest == {"plan shards", "write summary and report"}


def test_the_server_shows_progress_shards_and_a_summary_with_thumbnails(
    prefect: SyncPrefectClient, first: Run
) -> None:
    flow_run = flow_run_of(prefect, first)
    shown = artifacts(prefect, flow_run.id)
    progress = shown[f"progress-{first.run_id}"]
    assert progress.data == 100.0
    assert (progress.description or "").startswith("20/20: made 20, skipped 0, failed 0; ")
    shards = json.loads(str(shown[f"shards-{first.run_id}"].data))
    assert [(shard["style"], shard["state"]) for shard in shards] == [
        ("great_wave", "done"),
        ("poppies", "done"),
    ]
    markdown = str(shown[f"summary-{first.run_id}"].data)
    assert markdown.startswith("# made 20, skipped 0, failed 0")
    assert "](data:image/jpeg;base64," in markdown
    assert len(markdown.encode()) < 100_000


def test_running_again_makes_nothing_and_rewrites_nothing(first: Run, second: Run) -> None:
    assert (second.answer.code, second.answer.lines[0]) == (0, "made 0, skipped 20, failed 0")
    assert second.uri == first.uri
    assert second.after == first.after


def test_appended_rows_are_a_new_run_that_makes_exactly_those(
    workplace: Workplace, second: Run, appended: Run
) -> None:
    assert (appended.answer.code, appended.answer.lines[0]) == (0, "made 4, skipped 20, failed 0")
    assert appended.uri != second.uri
    assert {key: appended.after[key] for key in second.after} == second.after
    new = pictures_in(appended.after).keys() - pictures_in(second.after).keys()
    stems = sorted(key.rpartition("/")[2].rpartition("-")[0] for key in new)
    assert stems == ["photo10", "photo10", "photo11", "photo11"]
    rows = workplace.results(appended.uri)
    made = {row["row_id"] for row in rows if row["status"] == "made"}
    skipped = [row for row in rows if row["status"] == "skipped"]
    assert (made, len(skipped)) == ({"p10", "p11"}, 20)
    assert {row["output_uri"].removeprefix("s3://") for row in skipped} == pictures_in(
        second.after
    ).keys()


def pictures_in(listing: Listing) -> Listing:
    return {key: value for key, value in listing.items() if key.startswith("outbox/main/images/")}


def sizes(workplace: Workplace, keys: Sequence[str]) -> set[tuple[int, int]]:
    return {Image.open(io.BytesIO(workplace.read(key))).size for key in keys}


def etag_of(workplace: Workplace, uri: str) -> str:
    return str(workplace.s3.client().info(uri)["ETag"]).strip('"')


def flow_run_of(prefect: SyncPrefectClient, run: Run) -> FlowRun:
    """The flow run that published the run's summary."""
    key = ArtifactFilter(key=ArtifactFilterKey(any_=[f"summary-{run.run_id}"]))
    (artifact,) = prefect.read_artifacts(artifact_filter=key)
    assert artifact.flow_run_id is not None
    return prefect.read_flow_run(artifact.flow_run_id)


def artifacts(prefect: SyncPrefectClient, flow_run_id: UUID) -> dict[str, Artifact]:
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
    return {str(found.key): found for found in prefect.read_artifacts(artifact_filter=of_run)}


def task_run_names(prefect: SyncPrefectClient, flow_run_id: UUID, count: int) -> set[str]:
    """Names of a flow run's task runs, once the server has taken note of that many."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    deadline = time.monotonic() + SERVER_LAG_S
    names: set[str] = set()
    while len(names) < count and time.monotonic() < deadline:
        names = {task_run.name for task_run in prefect.read_task_runs(flow_run_filter=of_run)}
        time.sleep(0.3)
    return names
