"""``stylebatch up``: an upload becomes a picture, once, whatever gets lost on the way."""

import io
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import registrations
import s3fs
from PIL import Image
from sample_images import GREAT_WAVE, make_photographs
from stacks import (
    LocalStack,
    free_port_base,
    made_in,
    pictures,
    processes_in,
    run_stack,
    wait_until,
)

from tasks.devices import num_gpus
from tasks.server_limit import limit_name

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

BURST = 200
A_SWEEP_S = 240  # a minute to the next one, and a machine that does other things too


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    home = tmp_path_factory.mktemp("up")
    with run_stack(home, free_port_base()) as stack:
        yield stack


def put_style(client: s3fs.S3FileSystem, name: str) -> None:
    client.pipe_file(f"inbox/styles/{name}.yaml", b"method: identity\nmax_side_px: 32\n")
    client.pipe_file(f"inbox/styles/{name}.jpg", GREAT_WAVE.read_bytes())


def small_pictures(count: int) -> dict[str, bytes]:
    found = {}
    for number in range(count):
        sink = io.BytesIO()
        Image.new("RGB", (24, 16), (number, 255 - number, 40)).save(sink, "PNG")
        found[f"{number:03d}.png"] = sink.getvalue()
    return found


def test_an_uploaded_photograph_becomes_a_picture_with_an_outcome(stack: LocalStack) -> None:
    client = stack.client()
    put_style(client, "wave")
    client.pipe_file("inbox/wave/one.jpg", make_photographs(1)["photo00.jpg"])
    (picture,) = wait_until(lambda: pictures(client, "wave"), A_SWEEP_S)
    assert picture.startswith("outbox/images/wave/one-")
    with Image.open(io.BytesIO(client.cat_file(picture))) as image:
        assert max(image.size) == 32
    wait_until(lambda: made_in(client, "wave") == {"wave/one.jpg": 1}, A_SWEEP_S)
    wait_until(lambda: client.glob("outbox/runs/*/report.html"), A_SWEEP_S)


def test_the_screen_names_addresses_and_the_credentials_are_private(stack: LocalStack) -> None:
    keys = stack.credentials
    assert keys.keys() == {
        "endpoint_url", "access_key", "secret_key", "prefect_api_url", "prefect_ui_url",
        "prefect_auth_string",
    }  # fmt: skip
    assert (stack.folder / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert keys["secret_key"] not in stack.said()
    assert keys["endpoint_url"] in stack.said()
    with urllib.request.urlopen(keys["prefect_ui_url"], timeout=20) as page:
        assert page.status == 200
    commands = " ".join(processes_in(stack.home))
    assert keys["secret_key"] not in commands


def test_the_server_has_limits_for_gpus_only_and_marks_dead_runs(stack: LocalStack) -> None:
    url = stack.api_url
    assert registrations.limits(url).keys() == ({limit_name()} if num_gpus() else set())
    assert registrations.automations(url) == {
        "stylebatch: a dead run is marked as crashed",
        "stylebatch: an upload starts a sweep",
    }
    sweep = registrations.deployment(url, "stylize-uploads/on-upload")
    assert (sweep["work_pool_name"], sweep["job_variables"]) == (None, {})
    assert [one["schedule"]["interval"] for one in sweep["schedules"]] == [60]
    assert registrations.deployment(url, "stylize-manifest/nightly")["schedules"] == []


def receivers(stack: LocalStack) -> list[psutil.Process]:
    found = processes_in(stack.home).items()
    return [process for words, process in found if " receive " in words]


def test_a_receiver_that_dies_is_started_again_and_what_it_missed_is_made(
    stack: LocalStack,
) -> None:
    client = stack.client()
    put_style(client, "died")
    (receiver,) = receivers(stack)
    receiver.kill()
    client.pipe_file("inbox/died/one.jpg", make_photographs(1)["photo00.jpg"])
    wait_until(lambda: pictures(client, "died"), A_SWEEP_S)
    wait_until(lambda: made_in(client, "died") == {"died/one.jpg": 1}, A_SWEEP_S)
    assert stack.process.poll() is None
    assert "receiver ended by itself (killed by SIGKILL), and is started again" in stack.said()
    (other,) = wait_until(lambda: receivers(stack), A_SWEEP_S)
    assert other.pid != receiver.pid


def test_what_a_receiver_that_hangs_misses_the_sweep_finds(stack: LocalStack) -> None:
    client = stack.client()
    put_style(client, "missed")
    (receiver,) = receivers(stack)
    receiver.suspend()
    try:
        client.pipe_file("inbox/missed/one.jpg", make_photographs(1)["photo00.jpg"])
        wait_until(lambda: pictures(client, "missed"), A_SWEEP_S)
    finally:
        receiver.resume()


def test_a_burst_is_made_exactly_once_in_a_few_runs(stack: LocalStack) -> None:
    client = stack.client()
    before = len(client.ls("outbox/runs"))
    put_style(client, "burst")
    client.pipe({f"inbox/burst/{name}": data for name, data in small_pictures(BURST).items()})
    wait_until(lambda: len(pictures(client, "burst")) >= BURST, A_SWEEP_S)
    wait_until(lambda: made_in(client, "burst").total() >= BURST, A_SWEEP_S)
    made = made_in(client, "burst")
    assert (len(made), set(made.values())) == (BURST, {1})
    assert len(pictures(client, "burst")) == BURST
    assert len(client.ls("outbox/runs")) - before <= 8


def test_a_stopped_stack_leaves_no_process_and_goes_on_where_it_was(tmp_path: Path) -> None:
    base = free_port_base()
    with run_stack(tmp_path, base) as first:
        assert len(processes_in(tmp_path)) >= 5
        client, keys = first.client(), first.credentials
        put_style(client, "wave")
        uploads = small_pictures(60)
        client.pipe({f"inbox/wave/{name}": data for name, data in uploads.items()})
        wait_until(lambda: pictures(client, "wave"), A_SWEEP_S)
        assert first.stop() == 0
        assert processes_in(tmp_path) == {}
    with run_stack(tmp_path, base) as second:
        assert second.credentials == keys
        client = second.client()
        client.pipe_file("inbox/wave/late.jpg", make_photographs(1)["photo00.jpg"])
        everything = {f"wave/{name}" for name in (*uploads, "late.jpg")}
        wait_until(lambda: made_in(client, "wave").keys() == everything, A_SWEEP_S)
        assert set(made_in(client, "wave").values()) == {1}
        assert len(pictures(client, "wave")) == len(everything)
    assert processes_in(tmp_path) == {}
