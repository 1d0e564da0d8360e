"""The doors of ``stylebatch up``: they open on this machine only, and only to who has the keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest
from command_line import run_stylebatch
from dashboard import Dashboard
from local_jobs import LocalBucket
from playwright.sync_api import Browser, expect
from reliability import See
from stacks import LocalStack, free_port_base, processes_in, run_stack

from deployments.stack_files import Ports

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.reliability, pytest.mark.timeout(900)]

# What a page of any site could ask of SeaweedFS' parts with a plain GET.
TEMPTING = {
    "master": ("/col/delete?collection=inbox", "/dir/assign", "/vol/status", "/submit"),
    "filer": ("/", "/buckets/inbox/door/secret.jpg", "/buckets/inbox/?pretty=y"),
    "volume": ("/ui/index.html", "/1,01637037d6", "/admin/assign_volume?volume=9"),
    "s3": ("/inbox", "/inbox/door/secret.jpg"),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with run_stack(tmp_path_factory.mktemp("doors"), free_port_base()) as stack:
        yield stack


def ports_of(stack: LocalStack) -> Ports:
    return Ports(int(stack.credentials["endpoint_url"].rpartition(":")[2]))


def secrets_in(folder: Path) -> dict[str, Path]:
    """Every generated secret, by the file that keeps it."""
    found = {}
    for path in (folder / "credentials.json", *(folder / "s3").glob("*.toml")):
        for word in path.read_text().replace('"', " ").split():
            if len(word) >= 20 and "/" not in word:
                found[word] = path
    return found


def test_every_server_listens_on_the_loopback_only(stack: LocalStack, seen: See) -> None:
    addresses = {
        (connection.laddr.ip, connection.laddr.port)
        for process in processes_in(stack.home).values()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = ports_of(stack)
    assert {ports.s3, ports.prefect, ports.receiver} <= {port for _, port in addresses}
    assert {ip for ip, _ in addresses} == {"127.0.0.1"}
    seen(
        "another machine looks for a door",
        "all that `up` starts listens on the loopback",
        f"{len(addresses)} ports, all of 127.0.0.1",
    )


def test_secrets_are_in_files_of_their_owner_and_in_no_command_or_log(
    stack: LocalStack, seen: See
) -> None:
    secrets = secrets_in(stack.folder)
    assert len(secrets) >= 7
    for path in {*secrets.values(), stack.folder / "s3" / "s3.json"}:
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert stack.folder.stat().st_mode & 0o777 == 0o700
    logs = "".join(path.read_text(errors="replace") for path in stack.folder.glob("logs/*"))
    seen_by_others = "\n".join([*processes_in(stack.home), logs, stack.said()])
    assert not [path for word, path in secrets.items() if word in seen_by_others]
    seen(
        "another user looks at `ps`, files and logs",
        "secrets stand in files of mode 0600 alone, in a folder of mode 0700",
        f"{len(secrets)} secrets looked for",
    )


def test_the_store_opens_to_its_keys_only_and_no_part_of_it_has_a_back_door(
    stack: LocalStack, seen: See
) -> None:
    client, ports = stack.client(), ports_of(stack).seaweed()
    client.pipe_file("inbox/door/secret.jpg", b"mine")
    codes = []
    for role, paths in TEMPTING.items():
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                url = f"http://127.0.0.1:{ports[role]}{path}"
                codes.append(httpx.request(method, url, timeout=20).status_code)
                assert codes[-1] >= 400, (method, url)
    assert client.cat_file("inbox/door/secret.jpg") == b"mine"
    seen(
        "requests without keys to every part of the local S3 server",
        "refused, and nothing is gone",
        f"{len(codes)} requests, all answered 4xx" if max(codes) < 500 else f"{sorted(codes)}",
    )


def test_the_prefect_server_opens_to_its_auth_string_only(stack: LocalStack, seen: See) -> None:
    api = stack.credentials["prefect_api_url"]
    asked = 0
    for auth in (None, ("stylebatch", "guess"), ("admin", "pass")):
        for path in ("flows/filter", "flow_runs/filter", "deployments/filter", "logs/filter"):
            assert httpx.post(f"{api}/{path}", json={}, auth=auth, timeout=60).status_code == 401
            asked += 1
    assert httpx.post(f"{stack.api_url}/flows/filter", json={}, timeout=60).status_code == 200
    seen(
        "another user of this machine asks the Prefect server of `up`",
        "401; only `/api/health` and the empty dashboard are open",
        f"{asked} requests",
    )


@contextmanager
def other_site() -> Iterator[tuple[str, list[str]]]:
    """A page of another site, in the words of browsers: another port is another site."""
    asked: list[str] = []

    class Kittens(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Kittens</h1>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Kittens) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}/", asked
        site.shutdown()


def test_a_page_of_another_site_gets_nothing_out_of_the_prefect_server(
    stack: LocalStack, browser: Browser, seen: See
) -> None:
    keys, page = stack.credentials, browser.new_page()
    ask = "url => fetch(url).then(answer => answer.status, () => 'kept out')"
    health = f"{keys['prefect_api_url']}/health"
    with other_site() as (address, _):
        page.goto(address)
        assert page.evaluate(ask, health) == "kept out"
    page.goto(keys["prefect_ui_url"])
    assert page.evaluate(ask, health) == 200
    assert page.evaluate(ask, f"{keys['prefect_api_url']}/flows/count") in {401, 405}
    seen(
        "a page of another site, in a browser on this machine, asks the Prefect server of `up`",
        "the browser hands it no answer; the dashboard's own page gets one",
        "0 of 1 answers",
    )


def test_what_a_manifest_brings_does_nothing_in_the_dashboard(
    stack: LocalStack, browser: Browser, tmp_path: Path, seen: See
) -> None:
    keys, bucket = stack.credentials, LocalBucket(tmp_path)
    bucket.fill(4)
    with other_site() as (address, asked):
        harm = [f"![x]({address}image)", f"<img src={address}html>", f"[x](<{address}>)", address]
        rows = [
            {"id": text, "content_uri": f"photo{number:02d}.jpg", "n": text}
            for number, text in enumerate(harm)
        ]
        rows += [{"id": f"bad {text}", "content_uri": text, "n": text} for text in harm]
        job = bucket.job(manifest_uri=str(bucket.manifest(*rows)), method="identity")
        (tmp_path / "job.yaml").write_text(job.model_dump_json())
        environment = {"PREFECT_API_URL": keys["prefect_api_url"]}
        environment["PREFECT_API_AUTH_STRING"] = keys["prefect_auth_string"]
        answer = run_stylebatch(
            "run", "job.yaml", home=tmp_path, environment=environment, timeout_s=600
        )
        assert answer.code == 3, answer
        wanted = {"artifacts": {"key": {"like_": "summary-"}}}
        found = httpx.post(f"{stack.api_url}/artifacts/filter", json=wanted, timeout=60).json()
        summary = next(one["id"] for one in found if "<img src" in one["data"])
        dashboard = Dashboard.open(
            browser, keys["prefect_ui_url"], keys["prefect_auth_string"], None
        )
        page = dashboard.page
        page.goto(f"{keys['prefect_ui_url']}/v2/artifacts/artifact/{summary}")
        expect(page.get_by_text("image)").first).to_be_visible()
        assert harm[1] in page.inner_text("body")
        page.wait_for_timeout(2_000)
        links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert [link for link in links if link.startswith(address)] == []
    assert asked == []
    seen(
        f"{len(rows)} rows that are images, links and HTML in Markdown, in a real dashboard",
        "text; nothing is fetched, nothing can be clicked",
        f"{len(asked)} requests",
    )
