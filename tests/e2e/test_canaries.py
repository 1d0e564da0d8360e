"""Secrets are planted, everything is used and made to fail, and what it left is searched."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import canaries
import httpx
import pytest
from command_line import STYLEBATCH, Answer, clean_environment, run_stylebatch
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect_servers import run_prefect
from reliability import See
from sample_images import GREAT_WAVE, make_photographs
from servers import S3Server, free_ports, run_seaweed, stop
from stacks import free_port_base, made_in, run_stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.reliability, pytest.mark.timeout(1800)]

PATIENCE_S = 600
TINY = ("num_steps=2", "batch_size=2", "crop_px=32", "perception_every=2", "num_validations=1")


@dataclass
class Office:
    """A shell with every secret in its environment, and all that was said in it."""

    home: Path
    s3: S3Server
    url: str
    canary: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.s3.environment,
            "PREFECT_API_URL": self.url,
            "PREFECT_API_AUTH_STRING": self.canary["auth string"],
            "PREFECT_API_KEY": self.canary["API key"],
            "STYLEBATCH_EVENT_TOKEN": self.canary["event token"],
        }

    def run(self, *words: str, code: int | None, **environment: str) -> Answer:
        """One command, which has to end with this code, if one is given."""
        answer = run_stylebatch(
            *words,
            home=self.home,
            environment={**self.environment, **environment},
            timeout_s=PATIENCE_S,
        )
        self.said.append(str(answer))
        assert code in (None, answer.code), answer
        return answer

    def receive(self) -> None:
        """Have the receiver at work, with the right token, a wrong one, and nonsense."""
        (port,) = free_ports(1)
        command = [STYLEBATCH, "receive", "--inbox", "s3://inbox", "--port", str(port)]
        url, body = f"http://127.0.0.1:{port}", json.dumps({"Records": [{"s3": "nonsense"}]})
        right = {"Authorization": f"Bearer {self.canary['event token']}"}
        with (self.home / "receive.log").open("wb") as log:
            environment = clean_environment(self.home, self.environment)
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.home, env=environment
            )
            try:
                wait_until(lambda: is_listening(port), PATIENCE_S)
                codes = [
                    httpx.post(f"{url}/events", content=body, headers=headers, timeout=60)
                    for headers in (right, {"Authorization": f"{right['Authorization']}x"}, {})
                ]
            finally:
                stop(process)
        assert [answer.status_code for answer in codes] == [202, 401, 401]
        self.said += [answer.text for answer in codes]


def is_listening(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    home, store, server = (tmp_path / name for name in ("home", "store", "server"))
    for folder in (home, store, server):
        folder.mkdir()
    names = ("API key", "event token", "session token", "webhook", "other secret key")
    canary = {name: f"canary-{secrets.token_hex(12)}" for name in names}
    canary["auth string"] = f"night:canary-{secrets.token_hex(12)}"
    settings = {"PREFECT_SERVER_API_AUTH_STRING": canary["auth string"]}
    with run_seaweed(store) as s3, run_prefect(server, settings) as url:
        canary["secret key"] = s3.secret_key
        yield Office(home, s3, url, canary)


def save_webhook(office: Office) -> None:
    secret = office.canary["webhook"]
    settings = {
        PREFECT_API_URL: office.url,
        PREFECT_API_AUTH_STRING: office.canary["auth string"],
    }
    with temporary_settings(settings):
        SlackWebhook(url=f"https://somebody:{secret}@chat.example/{secret}").save("ops")
        address = "https://somebody:{{password}}@chat.example/hook"
        CustomWebhookNotificationBlock(
            name="ops", url=address, secrets={"password": secret}, json_data={"a": "{{body}}"}
        ).save("ops")


def fill(office: Office) -> dict[str, object]:
    """Put photographs, a painting, and one that is broken; returns a job."""
    client = office.s3.client()
    for name, data in make_photographs(4).items():
        client.pipe_file(f"inbox/photos/{name}", data)
    client.pipe_file("inbox/photos/broken.jpg", b"not an image")
    client.pipe_file("inbox/art/wave.jpg", GREAT_WAVE.read_bytes())
    return {
        "manifest_uri": "s3://inbox/photos/",
        "styles": ["s3://inbox/art/wave.jpg"],
        "output_uri": "s3://outbox/gallery",
        "method": "identity",
        "max_side_px": 32,
    }


def use_everything(office: Office) -> None:
    job = fill(office)
    (office.home / "job.yaml").write_text(json.dumps(job))
    uploads = {"inbox_uri": "s3://inbox", "output_uri": "s3://outbox"}
    (office.home / "uploads.yaml").write_text(json.dumps(uploads))
    office.run("doctor", "s3://outbox/gallery", code=None)  # a slow machine is not its subject
    office.run("plan", "job.yaml", code=0)
    run_uri = office.run("run", "job.yaml", code=3).run_uri
    for command in ("status", "report", "verify"):
        office.run(command, run_uri, code=0)
    office.run("retry", run_uri, code=3)
    save_webhook(office)
    more = ("--uploads", "uploads.yaml", "--notify", "slack-webhook/ops", "--gpus", "here=1")
    office.run("deploy", "--nightly", "job.yaml", *more, code=0)
    office.receive()
    training = [word for one in TINY for word in ("--set", f"training.{one}")]
    where = ("--content", "s3://inbox/photos", "--output", "s3://outbox/refiner")
    small = ("--preset", "draft", "--max-side-px", "32", "--style", "s3://inbox/art/wave.jpg")
    office.run("train", "refiner", *small, *where, *training, code=0)


def let_everything_fail(office: Office) -> None:
    """Refused by the store, not reached, refused by the server; in words and with tracebacks."""
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    passing = {"AWS_SESSION_TOKEN": office.canary["session token"]}
    wrong = {"AWS_SECRET_ACCESS_KEY": office.canary["other secret key"]}
    other = {"PREFECT_API_AUTH_STRING": f"{office.canary['auth string']}!"}
    for broken in (wrong, {"AWS_ENDPOINT_URL": nowhere}, passing):
        office.run("run", "job.yaml", code=2, **broken)
        office.run("run", "job.yaml", code=1, STYLEBATCH_DEBUG="1", **broken)
        office.run("doctor", "s3://outbox/x", code=1, **broken)
    office.run("plan", "job.yaml", code=2, **wrong)
    office.run("deploy", code=2, **other)
    office.run("run", "job.yaml", code=1, STYLEBATCH_DEBUG="1", **other)


def test_no_secret_is_left_anywhere(office: Office, seen: See) -> None:
    use_everything(office)
    let_everything_fail(office)
    time.sleep(5)  # the server writes events and logs in lots
    name, _, password = office.canary["auth string"].partition(":")
    number, found = canaries.search(
        chain(
            canaries.files(office.home),
            canaries.files(office.home.parent / "server"),
            canaries.objects(office.s3.client(), "inbox", "outbox"),
            canaries.server(office.url, (name, password)),
            [canaries.Place("the terminal", "\n".join(office.said).encode())],
        ),
        {**office.canary, "access key": office.s3.access_key, "pickle": "s3fs.core"},
    )
    links = found.pop("access key")
    assert "artifacts" in links, "signed links name it by design; so the search finds things"
    assert "the terminal" not in links
    assert {what: places for what, places in found.items() if places} == {}
    seen(
        f"{len(office.canary)} secrets planted, and every command used and made to fail",
        "none is left: parameters, artifacts, logs, events, reports, job.json, results, database, "
        "terminal; the access key's id stands in signed links",
        f"{number} places searched, 0 found",
    )


def test_the_local_stack_keeps_its_secrets_in_its_own_files(tmp_path: Path, seen: See) -> None:
    with run_stack(tmp_path, free_port_base()) as stack:
        client, keys = stack.client(), stack.credentials
        client.pipe_file("inbox/styles/wave.yaml", b"method: identity\nmax_side_px: 32\n")
        client.pipe_file("inbox/styles/wave.jpg", GREAT_WAVE.read_bytes())
        client.pipe_file("inbox/wave/one.jpg", make_photographs(1)["photo00.jpg"])
        client.pipe_file("inbox/wave/two.jpg", b"not an image")
        wait_until(lambda: made_in(client, "wave"), PATIENCE_S)
        wait_until(lambda: client.glob("outbox/runs/*/report.html"), PATIENCE_S)
        time.sleep(5)
        name, _, password = keys["prefect_auth_string"].partition(":")
        left = [
            *canaries.objects(client, "inbox", "outbox"),
            *canaries.server(keys["prefect_api_url"], (name, password)),
        ]
        token = (stack.folder / "s3/notification.toml").read_text().split('bearer_token = "')[1]
        stack.stop()
    planted = {
        "secret key": keys["secret_key"],
        "auth string": keys["prefect_auth_string"],
        "event token": token.partition('"')[0],
        "pickle": "s3fs.core",
    }
    number, found = canaries.search(chain(left, canaries.files(tmp_path)), planted)
    own = {"state/credentials.json", "state/s3/s3.json", "state/s3/notification.toml"}
    assert set().union(*found.values()) <= own, found
    assert all(found[what] for what in planted if what != "pickle"), "the search finds things"
    seen(
        "`up` makes an upload; its folder, its buckets and its server are searched",
        "its secrets stand in its own files of mode 0600 alone",
        f"{number} places searched, in {len(own)} files as meant",
    )
