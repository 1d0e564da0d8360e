"""Twelve rows of which five are bad: each gets its own code, and the others are made."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from buckets import Row, Workplace
from command_line import Answer
from sample_images import GREAT_WAVE, make_photographs

pytestmark = pytest.mark.e2e

INBOX = "inbox/bad"
OUTPUT = "outbox/bad"
MANIFEST = f"s3://{INBOX}/manifest.jsonl"
GOOD = make_photographs(8)
LATE = "photo07.jpg"
ROWS: Sequence[Row] = [
    *({"id": name, "file_name": name} for name in list(GOOD)[:7]),
    {"id": "late", "file_name": LATE},
    {"id": "page", "file_name": "page.jpg"},
    {"id": "nothing", "file_name": "nothing.jpg"},
    {"id": "twice", "file_name": "photo00.jpg"},
    {"id": "elsewhere", "content_uri": "http://169.254.169.254/photo.jpg"},
]
CODES = {
    "late": "missing",
    "page": "not_an_image",
    "nothing": "empty",
    "elsewhere": "not_allowed",
}


@dataclass(frozen=True)
class Story:
    """What was done one after the other, and what the bucket held after each step."""

    planned: Answer
    before_plan: dict[str, tuple[str, str]]
    after_plan: dict[str, tuple[str, str]]
    ran: Answer
    after_run: dict[str, tuple[str, str]]

    @property
    def run_uri(self) -> str:
        """The one run of the story."""
        return self.ran.run_uri


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which nothing can import torch."""
    folder = tmp_path_factory.mktemp("no_torch")
    message = "raise ImportError('identity must not need torch')"
    (folder / "torch.py").write_text(message)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def story(workplace: Workplace, without_torch: dict[str, str]) -> Story:
    """Plan, then run."""
    workplace.put({name: data for name, data in GOOD.items() if name != LATE}, INBOX)
    workplace.put({"page.jpg": b"<!doctype html><p>404", "nothing.jpg": b""}, INBOX)
    workplace.put({"style.jpg": GREAT_WAVE.read_bytes()}, INBOX)
    workplace.put_manifest(MANIFEST, ROWS)
    before = workplace.listing("outbox")
    planned = workplace.stylebatch("plan", *request())
    after_plan = workplace.listing("outbox")
    ran = workplace.stylebatch("run", *request(), environment=without_torch)
    return Story(planned, before, after_plan, ran, workplace.listing(OUTPUT))


@pytest.fixture(scope="module")
def retried(workplace: Workplace, story: Story) -> Answer:
    """``retry`` after the missing photograph has come."""
    assert story.ran.code == 3, story.ran
    workplace.put({LATE: GOOD[LATE]}, INBOX)
    return workplace.stylebatch("retry", story.run_uri)


def request() -> list[str]:
    style, output = f"s3://{INBOX}/style.jpg", f"s3://{OUTPUT}"
    words = ["--manifest", MANIFEST, "--style", style, "--output", output]
    return [*words, "--method", "identity", "--max-side-px", "32"]


def test_plan_counts_rows_duplicates_and_rejects_and_writes_nothing(story: Story) -> None:
    assert story.planned.code == 0, story.planned
    facts = dict(line.split(maxsplit=1) for line in story.planned.lines if line[0] != " ")
    expected = {"rows": "12", "styles": "1", "pictures": "11", "duplicates": "1", "rejects": "1"}
    assert {name: facts[name] for name in expected} == expected
    assert "  not_allowed: 1" in story.planned.lines
    assert story.after_plan == story.before_plan


def test_bad_rows_end_with_exit_code_3_and_are_counted_by_code(story: Story) -> None:
    assert story.ran.code == 3, story.ran
    assert story.ran.lines[0] == "made 7, skipped 0, failed 4"
    counted = sorted(line.strip() for line in story.ran.lines if line.startswith("  "))
    assert counted == sorted(f"{code}: 1" for code in CODES.values())


def test_every_bad_row_is_in_the_results_with_its_own_code(
    workplace: Workplace, story: Story
) -> None:
    rows = workplace.results(story.run_uri)
    assert {row["row_id"]: row["error_code"] for row in rows if row["status"] == "failed"} == CODES
    assert {row["row_id"] for row in rows if row["status"] == "made"} == set(list(GOOD)[:7])
    for row in rows:
        if row["status"] == "failed":
            assert row["content_uri"] in row["error_message"]
            assert row["output_uri"] is None


def test_the_duplicate_is_counted_and_made_once(workplace: Workplace, story: Story) -> None:
    summary = workplace.read_json(f"{story.run_uri}/summary.json")
    assert (summary["planned"], summary["duplicates"]) == (11, 1)
    pictures = [key for key in story.after_run if "/images/" in key]
    assert len(pictures) == 7
    assert sum("photo00" in key for key in pictures) == 1


def test_running_again_repeats_the_failures_without_writing(
    workplace: Workplace, story: Story
) -> None:
    again = workplace.stylebatch("run", *request())
    assert (again.code, again.lines[0]) == (3, "made 0, skipped 7, failed 4")
    assert workplace.listing(OUTPUT) == story.after_run


def test_retry_makes_exactly_the_row_that_was_repaired(
    workplace: Workplace, story: Story, retried: Answer
) -> None:
    assert (retried.code, retried.lines[0]) == (3, "made 1, skipped 7, failed 3")
    after = workplace.listing(OUTPUT)
    new = {key.removeprefix(f"{OUTPUT}/") for key in after.keys() - story.after_run.keys()}
    run_id = story.run_uri.rpartition("/")[2]
    (picture,) = (key for key in new if key.startswith("images/"))
    assert picture.startswith("images/style/photo07-")
    claims = {key for key in new if "/claims/" in key}  # who worked on it; nothing once it is done
    assert new - claims == {picture, f"runs/{run_id}/results/00000.retry1.parquet"}
    changed = {key for key in story.after_run if after[key] != story.after_run[key]}
    assert {Path(key).name for key in changed} == {"summary.json", "report.html"}


def test_the_results_of_a_retry_hold_the_failed_rows_as_a_second_attempt(
    workplace: Workplace, story: Story, retried: Answer
) -> None:
    assert retried.code == 3, retried
    rows = workplace.rows_of(f"{story.run_uri}/results/00000.retry1.parquet")
    found = {row["row_id"]: (row["status"], row["error_code"]) for row in rows}
    # What planning refused is not tried: another job would allow it, another try does not.
    tried = {name: ("failed", code) for name, code in CODES.items() if code != "not_allowed"}
    assert found == {**tried, "late": ("made", None)}
    assert {row["attempt"] for row in rows} == {2}


def test_status_tells_the_latest_outcomes(
    workplace: Workplace, story: Story, retried: Answer
) -> None:
    assert retried.code == 3, retried
    answer = workplace.stylebatch("status", story.run_uri)
    assert answer.code == 0, answer
    assert "planned     11 pictures in 1 shards" in answer.lines
    assert "result      made 8, skipped 0, failed 3" in answer.lines
    assert "  missing: 1" not in answer.lines


def test_report_writes_summary_and_page_again_from_the_results(
    workplace: Workplace, story: Story, retried: Answer
) -> None:
    assert retried.code == 3, retried
    client = workplace.s3.client()
    for name in ("summary.json", "report.html"):
        client.rm_file(f"{story.run_uri}/{name}")
    answer = workplace.stylebatch("report", story.run_uri)
    assert answer.code == 0, answer
    assert answer.lines == ["made 8, skipped 0, failed 3", f"{story.run_uri}/report.html"]
    summary = workplace.read_json(f"{story.run_uri}/summary.json")
    assert (summary["made"], summary["failed_by_code"]["not_an_image"]) == (8, 1)
    page = workplace.read(f"{story.run_uri}/report.html").decode()
    assert all(code in page for code in ("not_an_image", "empty", "not_allowed"))
