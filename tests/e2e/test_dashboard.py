"""The dashboard of ``stylebatch up`` in a browser: watching a run, starting one, canceling one."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import s3fs
from dashboard import PROGRESS, Dashboard, is_drawn
from PIL import Image
from playwright.sync_api import Browser, expect
from sample_images import GREAT_WAVE, make_photographs
from stacks import LocalStack, free_port_base, made_in, pictures, run_stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

A_SWEEP_S = 240  # a minute to the next one, and a machine that does other things too
A_RUN_S = 1200


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with run_stack(tmp_path_factory.mktemp("dashboard"), free_port_base()) as stack:
        yield stack


@pytest.fixture
def dashboard(
    stack: LocalStack, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[Dashboard]:
    folder = request.config.getoption("--screenshots", default=None)
    keys, screenshots = stack.credentials, Path(folder) if folder else None
    url, auth = keys["prefect_ui_url"], keys["prefect_auth_string"]
    dashboard = Dashboard.open(browser, url, auth, screenshots)
    yield dashboard
    dashboard.keep(f"last of {request.node.name}")


def upload(client: s3fs.S3FileSystem, style: str, settings: str, photographs: int) -> None:
    """Put a style and photographs, one of them broken, and wait until a sweep has planned them.

    The painting comes last: until then the photographs wait, and one sweep takes them all.
    """
    client.pipe_file(f"inbox/styles/{style}.yaml", settings.encode())
    for name, data in make_photographs(photographs).items():
        client.pipe_file(f"inbox/{style}/{name}", data)
    client.pipe_file(f"inbox/{style}/broken.jpg", b"not an image")
    client.pipe_file(f"inbox/styles/{style}.jpg", GREAT_WAVE.read_bytes())
    wait_until(lambda: client.glob(f"outbox/uploads/manifests/{style}/*"), A_SWEEP_S)


def test_a_run_in_progress_tells_how_far_it_is_and_afterwards_shows_its_pictures(
    stack: LocalStack, dashboard: Dashboard
) -> None:
    upload(stack.client(), "wave", "max_side_px: 64\noptimize: {num_evaluations: 100}", 8)
    page = dashboard.page
    dashboard.show_run("uploads in s3://inbox", "Running", A_SWEEP_S)
    dashboard.tab("Task Runs")
    shard = page.get_by_role("link", name="wave, shard 00000, 9 pictures")
    expect(shard).to_be_visible(timeout=1000 * A_SWEEP_S)

    dashboard.tab("Logs")
    seen: set[str] = set()

    def counts_by_itself() -> bool:
        """Whether the page, which nobody loads again, went from line to line and made some."""
        lines = list(PROGRESS.finditer(dashboard.text()))
        seen.update(line[0] for line in lines)
        return len(seen) >= 3 and any(int(line[3]) > 0 for line in lines)

    dashboard.wait(counts_by_itself, A_RUN_S)
    dashboard.keep("progress")
    run = page.url
    dashboard.show_artifact("progress")
    expect(page.get_by_text(PROGRESS)).to_be_visible()
    before = PROGRESS.search(dashboard.text())
    assert before is not None
    assert before[2] == "9"

    page.goto(run)
    dashboard.state("Completed", A_RUN_S)
    expect(page.get_by_text("uploads in s3://inbox: made 8, failed 1").first).to_be_visible()
    dashboard.keep("run")
    dashboard.show_artifact("progress")
    expect(page.get_by_text("9/9: made 8, skipped 0, failed 1")).to_be_visible()
    page.goto(run)
    dashboard.show_artifact("summary")
    page.get_by_role("link", name=re.compile("^[0-9a-f]{8}$")).click()  # the artifact itself
    check_summary(stack, dashboard)


def check_summary(stack: LocalStack, dashboard: Dashboard) -> None:
    """Thumbnails are drawn, failures explained, and the report opens."""
    page = dashboard.page
    expect(page.get_by_role("heading", name="made 8, skipped 0, failed 1")).to_be_visible()
    for kind, count in (("photograph", 8), ("painting", 1), ("picture", 8)):
        images = page.get_by_role("img", name=kind, exact=True)
        expect(images).to_have_count(count)
        assert all(is_drawn(image) for image in images.all())
    row = page.get_by_role("row").filter(has_text="not_an_image")
    expect(row).to_contain_text("1")
    dashboard.keep("summary")
    (report,) = stack.client().glob("outbox/runs/*/report.html")
    expect(page.get_by_text(f"s3://{report}").first).to_be_visible()
    link = page.get_by_role("link", name="open it").get_attribute("href")
    assert link is not None
    page.goto(link)
    expect(page.get_by_text("photo00.jpg").first).to_be_visible()
    assert len(page.locator("img").all()) >= 3 * 8
    assert all(is_drawn(image) for image in page.locator("img").all())


def test_a_run_is_started_from_a_form_that_reads_like_a_job(
    stack: LocalStack, dashboard: Dashboard
) -> None:
    client, page = stack.client(), dashboard.page
    for name, data in make_photographs(3).items():
        client.pipe_file(f"inbox/album/{name}", data)
    client.pipe_file("inbox/paintings/great_wave.jpg", GREAT_WAVE.read_bytes())
    dashboard.show("Deployments")
    page.get_by_role("link", name="nightly").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    side = page.get_by_label("Max side in px")
    expect(side).to_have_attribute("min", "16")
    expect(side).to_have_attribute("max", "8192")
    words = [
        label.inner_text().removesuffix(" (Optional)") for label in page.locator("label").all()
    ]
    assert words[words.index("Manifest URI") :][:6] == [
        "Manifest URI", "Styles", "Output URI", "Preset", "Max side in px", "Method"
    ]  # fmt: skip
    for text in ("or a prefix to list", "evaluations: draft 20", "identity only resizes"):
        expect(page.get_by_text(text).first).to_be_visible()

    page.get_by_label("Manifest URI").fill("s3://inbox/album/")
    page.get_by_role("button", name="Add item").first.click()
    page.get_by_label("URI", exact=True).fill("s3://inbox/paintings/great_wave.jpg")
    page.get_by_label("Output URI").fill("s3://outbox/album")
    choose(dashboard, "Preset", ["draft", "standard", "fine"], "draft")
    choose(dashboard, "Method", ["optimize", "generator", "identity"], "identity")
    side.fill("48")
    page.get_by_label("Manifest URI").scroll_into_view_if_needed()
    dashboard.keep("form")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="View run").click()
    dashboard.state("Completed", A_RUN_S)
    expect(page.get_by_text("album in great_wave, draft").first).to_be_visible()
    found = client.find("outbox/album/images/great_wave")
    assert len(found) == 3
    for name in found:
        with Image.open(io.BytesIO(client.cat_file(name))) as image:
            assert max(image.size) == 48


def choose(dashboard: Dashboard, field: str, choices: list[str], choice: str) -> None:
    dashboard.page.get_by_label(field).click()
    options = dashboard.page.get_by_role("option")
    expect(options).to_have_text(choices)
    options.filter(has_text=choice).click()


def test_a_run_that_is_canceled_in_the_dashboard_ends_and_is_finished_later(
    stack: LocalStack, dashboard: Dashboard
) -> None:
    client = stack.client()
    upload(client, "calm", "max_side_px: 64\noptimize: {num_evaluations: 200}", 3)
    dashboard.show_run("uploads in s3://inbox", "Running", A_SWEEP_S)
    dashboard.tab("Task Runs")
    shard = dashboard.page.get_by_role("link", name="calm, shard 00000, 4 pictures")
    expect(shard).to_be_visible(timeout=1000 * A_SWEEP_S)
    dashboard.wait(lambda: len(pictures(client, "calm")) > 0, A_RUN_S)
    dashboard.cancel()
    dashboard.state("Cancelled", A_SWEEP_S)
    assert not works_on(dashboard.page.url)
    first = {name: client.info(name)["ETag"] for name in pictures(client, "calm")}
    assert 1 <= len(first) < 3
    for name in first:
        with Image.open(io.BytesIO(client.cat_file(name))) as image:
            image.load()  # whole
    dashboard.keep("canceled")

    dashboard.wait(lambda: made_in(client, "calm").total() == 3, A_RUN_S)
    assert set(made_in(client, "calm").values()) == {1}
    assert len(pictures(client, "calm")) == 3
    assert {name: client.info(name)["ETag"] for name in first} == first


def works_on(run_url: str) -> bool:
    """Whether a process is there that was started for the flow run that a page shows."""
    run_id = re.search(r"[0-9a-f-]{36}", run_url)
    assert run_id is not None
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == run_id[0]:
                return process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
    return False
