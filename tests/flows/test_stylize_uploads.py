"""Sweeps of an inbox: everything once, what waits and why, failures, and going on after a stop."""

from pathlib import Path
from typing import Any

import pytest
from inboxes import LocalInbox
from PIL import Image
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from sample_images import POPPIES, make_photographs
from stub_stylizers import Invert

from flows.stylize_uploads import stylize_uploads
from stylecore.batch.fingerprint import digest_of
from stylecore.batch.inbox import UploadsJob
from stylecore.batch.store import Store
from stylecore.errors import OutOfMemoryError
from tasks.closing import read_summary
from tasks.storage import open_run
from tasks.stylize_shards import stylize_shards

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness")]


@pytest.fixture
def place(tmp_path: Path) -> LocalInbox:
    return LocalInbox(tmp_path)


def sweep(job: UploadsJob) -> State[dict[str, Any]]:
    return stylize_uploads(job, return_state=True)


def test_photographs_of_two_styles_are_two_runs_and_nothing_is_made_twice(
    place: LocalInbox, invert: Invert
) -> None:
    for style, count in (("wave", 3), ("sea", 2)):
        place.put_style(style)
        place.put_photographs(style, count)
    state = sweep(place.job())
    assert (state.is_completed(), state.message) == (True, "made 5")
    assert [path.parent.name for path in place.pictures()] == ["sea"] * 2 + ["wave"] * 3
    assert len(place.runs()) == 2
    assert all(list(run.glob("report.html")) for run in place.runs())
    assert place.open_runs() == []
    again = sweep(place.job())
    assert (again.is_completed(), again.message) == (True, "made 0")
    assert (len(place.runs()), len(invert.stylized)) == (2, 5)


def test_settings_of_a_style_are_its_own(place: LocalInbox) -> None:
    place.put_style("wave", "method: identity\nmax_side_px: 24\noutput: {format: png}\n")
    place.put_style("sea", "method: identity\n")
    for style in ("wave", "sea"):
        place.put_photographs(style, 1)
    assert sweep(place.job()).message == "made 2"
    with Image.open(place.pictures("wave")[0]) as picture:
        assert (picture.format, max(picture.size)) == ("PNG", 24)
    with Image.open(place.pictures("sea")[0]) as picture:
        assert (picture.format, max(picture.size)) == ("JPEG", 32)


def test_other_settings_make_other_pictures_of_the_same_uploads(
    place: LocalInbox, invert: Invert
) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 2)
    sweep(place.job())
    place.put("styles/wave.yaml", "seed: 7\n")
    assert sweep(place.job()).message == "made 2"
    assert len(place.pictures()) == 4


def test_a_photograph_before_its_style_waits_and_is_reported(
    place: LocalInbox, invert: Invert
) -> None:
    place.put_photographs("wave", 2)
    job = place.job()
    state = sweep(job)
    assert (state.is_completed(), state.message) == (True, "made 0, waiting 2")
    artifact = Artifact.get(f"uploads-{digest_of([job.inbox_uri, job.output_uri])[:16]}")
    assert artifact is not None
    waits = "| `wave` | 2 | `there is no painting yet: upload styles/wave.jpg` |"
    assert waits in str(artifact.data)
    place.put_style("wave")
    assert sweep(job).message == "made 2"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("styles/wave.yaml", "preset: [unclosed"),
        ("styles/wave.yaml", "preset: enormous\n"),
        ("styles/wave.yaml", "output_uri: /somewhere/else\n"),
        ("styles/wave.yaml", "refine: /etc\n"),
        ("styles/wave.png", "a second painting"),
        ("styles/wave.jpg", "not a painting"),
    ],
)
def test_a_style_with_something_wrong_keeps_its_uploads_waiting_and_no_others(
    place: LocalInbox, invert: Invert, name: str, content: str
) -> None:
    for style in ("wave", "sea"):
        place.put_style(style)
        place.put_photographs(style, 1)
    place.put(name, content)
    state = sweep(place.job())
    assert (state.is_completed(), state.message) == (True, "made 1, waiting 1")
    assert [path.parent.name for path in place.pictures()] == ["sea"]


def test_what_cannot_be_read_fails_once(place: LocalInbox, invert: Invert) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 1)
    place.put("wave/page.jpg", "<html>")
    assert sweep(place.job()).message == "made 1, failed 1"
    note = place.failures()["page.json"]
    assert (note["error_code"], note["attempt"]) == ("not_an_image", 1)
    assert sweep(place.job()).message == "made 0"
    place.put("wave/page.jpg", make_photographs(2)["photo01.jpg"])
    assert sweep(place.job()).message == "made 1"


def test_a_fault_that_passes_is_tried_three_times_in_three_sweeps(
    place: LocalInbox, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 1)

    def refuse(*_: object) -> None:
        raise OutOfMemoryError("photo", "too large for this test")

    monkeypatch.setattr("tasks.reading.resize_content", refuse)
    for attempt, note in enumerate(("try1.json", "try2.json", "json"), start=1):
        assert sweep(place.job()).message == "made 0, failed 1"
        assert place.failures()[f"photo00.{note}"]["attempt"] == attempt
    monkeypatch.undo()
    assert sweep(place.job()).message == "made 0"
    assert len(place.runs()) == 3


def test_a_fault_that_passed_is_made_by_the_next_sweep(
    place: LocalInbox, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 1)

    def refuse(*_: object) -> None:
        raise OutOfMemoryError("photo", "too large for this test")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.reading.resize_content", refuse)
        assert sweep(place.job()).message == "made 0, failed 1"
    assert sweep(place.job()).message == "made 1"
    assert sweep(place.job()).message == "made 0"


def test_uploads_that_arrive_during_a_sweep_are_made_by_it(
    place: LocalInbox, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 1)
    late = make_photographs(3)["photo02.jpg"]

    def settle_after_an_upload(store: Store, ledger: Any) -> None:
        place.put("wave/late.jpg", late)
        settle_run(store, ledger)

    from tasks.uploads import settle_run

    monkeypatch.setattr("tasks.sweep_inbox.settle_run", settle_after_an_upload)
    assert sweep(place.job()).message == "made 2"
    assert len(place.runs()) == 2


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = stylize_shards.with_options(retry_delay_seconds=0)
    monkeypatch.setattr("tasks.fan_out.stylize_shards", hurried)


@pytest.mark.usefixtures("_no_waiting")
def test_a_run_that_broke_off_is_finished_by_the_next_sweep(
    place: LocalInbox, invert: Invert
) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 4)
    invert.faults = 99
    state = sweep(place.job())
    assert state.is_failed()
    assert "still to do 4" in str(state.message)
    assert len(place.open_runs()) == 1
    invert.faults = 0
    place.put("wave/more.jpg", make_photographs(5)["photo04.jpg"])
    again = sweep(place.job())
    assert (again.is_completed(), again.message) == (True, "made 5")
    first = read_summary(open_run(str(place.runs()[0])))
    assert first is not None
    assert (first.made, first.is_complete) == (4, True)
    assert (len(place.runs()), place.open_runs()) == (2, [])
    assert len(place.pictures()) == 5


@pytest.mark.usefixtures("_no_waiting")
def test_a_run_that_broke_off_is_given_up_where_its_painting_changed(
    place: LocalInbox, invert: Invert
) -> None:
    place.put_style("wave")
    place.put_photographs("wave", 4)
    invert.faults = 99
    sweep(place.job())
    invert.faults = 0
    place.put("styles/wave.jpg", POPPIES.read_bytes())
    assert sweep(place.job()).message == "made 4"
    assert place.open_runs() == []
    assert len(place.pictures()) == 6  # two in the first painting, before the run broke off


def test_an_inbox_that_nobody_wrote_to_is_no_fault(place: LocalInbox) -> None:
    state = sweep(place.job())
    assert (state.is_completed(), state.message) == (True, "made 0")
