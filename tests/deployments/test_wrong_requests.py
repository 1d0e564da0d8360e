"""Wrong requests: exit code 2, at most ten lines that say what and where, nothing slow imported."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from command_line import Answer
from desk import Desk

# Python then tells every import on stderr, without our having a hand in it.
TELL_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
SLOW = {"torch", "torchvision", "torchmetrics", "lpips", "prefect"}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
STORE = "s3://photographs/manifest.jsonl"

Words = Callable[[Desk], list[str]]


def manifest(text: str, name: str = "own.jsonl", command: str = "run") -> Words:
    """A job with a manifest of that text."""
    return lambda desk: [command, *desk.request(manifest=desk.write(name, text))]


def option(command: str = "run", **options: str) -> Words:
    """A job with some options replaced; {folder} stands for the desk's."""
    return lambda desk: [
        command,
        *desk.request(**{k: v.format(folder=desk.folder) for k, v in options.items()}),
    ]


def job_file(text: str) -> Words:
    """A job from a YAML file of that text."""
    return lambda desk: ["run", desk.write("job.yaml", text)]


def words(*arguments: str) -> Words:
    """Just these words; {folder} stands for the desk's."""
    return lambda desk: [word.format(folder=desk.folder) for word in arguments]


def training(**options: str) -> Words:
    """A training with some options replaced."""
    good = {"style": "{folder}/style.jpg", "content": "{folder}", "output": "{folder}/out"}
    given = [word for name, value in (good | options).items() for word in (f"--{name}", value)]
    return words("train", "refiner", *given)


def deploy(*arguments: str) -> Words:
    """A deploy with these options."""
    return words("deploy", *arguments)


def nightly(*arguments: str) -> Words:
    """A deploy of a good job for every night, with these options too."""
    text = "manifest_uri: s3://in/\nstyles: [s3://art/a.jpg]\noutput_uri: s3://out\n"
    return lambda desk: ["deploy", "--nightly", desk.write("night.yaml", text), *arguments]


def uploads(text: str) -> Words:
    """A deploy of an inbox described by that text."""
    return lambda desk: ["deploy", "--uploads", desk.write("inbox.yaml", text)]


REFUSED_ROW = '{"content_uri": "s3://elsewhere/a.jpg"}\n'
CASES: Mapping[str, tuple[Words, list[str]]] = {
    "manifest missing": (option(manifest="{folder}/no.csv"), ["no.csv", "no such object"]),
    "manifest folder missing": (option(manifest="{folder}/no/"), ["/no", "no such folder"]),
    "manifest suffix": (option(manifest="{folder}/m.xml"), [".xml", "unknown suffix", ".parquet"]),
    "manifest scheme": (option(manifest="ftp://a/m.csv"), ["manifest", "'ftp' is not allowed"]),
    "manifest empty": (manifest(""), ["own.jsonl", "no rows"]),
    "manifest columns": (manifest('{"picture": "a.jpg"}\n'), ["line 1", "content_uri", "picture"]),
    "manifest line": (manifest('{"uri": "a.jpg"}\n{"uri": \n'), ["own.jsonl", "line 2"]),
    "manifest id": (
        manifest('{"uri": "a", "id": 1}\n{"uri": "b", "id": 1}\n'),
        ["row 2", "repeats the id '1'"],
    ),
    "every row refused": (manifest(REFUSED_ROW), ["no row is allowed", "--allow s3://elsewhere"]),
    "no style": (
        lambda desk: ["run", "--manifest", desk.manifest, "--output", desk.output],
        ["names no style", "--style"],
    ),
    "style missing": (option(style="{folder}/no.jpg"), ["style", "no.jpg"]),
    "style no image": (option(style="{folder}/manifest.jsonl"), ["style", "cannot decode image"]),
    "style scheme": (option(style="http://127.0.0.1/a.jpg"), ["style", "'http' is not allowed"]),
    "output under a file": (
        option(output="{folder}/style.jpg/out"),
        ["output cannot be written", "style.jpg/out"],
    ),
    "preset": (option(preset="great"), ["preset", "'great'", "'draft'", "'fine'"]),
    "method": (option(method="magic"), ["method", "'magic'", "'identity'"]),
    "max side 0": (option(**{"max-side-px": "0"}), ["max_side_px", "16", "'0'"]),
    "max side 8193": (option(**{"max-side-px": "8193"}), ["max_side_px", "8192"]),
    "max side no number": (option(**{"max-side-px": "big"}), ["--max-side-px", "integer"]),
    "setting": (option(set="optimize.weight=1"), ["optimize.weight", "no such setting"]),
    "setting without value": (option(set="optimize.tv_weight"), ["PATH=VALUE"]),
    "setting of a value": (option(set="seed.x=1"), ["seed"]),
    "layer": (option(set="optimize.content_layers=[relu9_9]"), ["relu9_9", "relu4_2"]),
    "allow": (option(allow="ftp://x"), ["--allow", "ftp"]),
    "plan max side": (option("plan", **{"max-side-px": "0"}), ["max_side_px"]),
    "plan manifest": (manifest("{}", command="plan"), ["line 1", "content_uri"]),
    "job file missing": (words("run", "{folder}/no.yaml"), ["no.yaml", "cannot read"]),
    "job file no YAML": (job_file("a: [1"), ["job.yaml", "not valid YAML"]),
    "job file no mapping": (job_file("- 1"), ["job.yaml", "mapping"]),
    "job file setting": (
        job_file("manifest_uri: m.csv\noutput_uri: o\nstyle: s.jpg"),
        ["job.yaml", "style: there is no such setting"],
    ),
    "nothing given": (words("run"), ["manifest_uri: is required", "output_uri: is required"]),
    "option": (words("run", "--colour", "red"), ["--colour"]),
    "command": (words("stylise"), ["stylise"]),
    "status of no run": (words("status", "{folder}/out/runs/0123"), ["no run here", "runs/0123"]),
    "retry of no run": (words("retry", "{folder}/out/runs/0123"), ["no run here"]),
    "report of no run URI": (words("report", "{folder}/out"), ["not a run's URI"]),
    "score of no run": (words("score", "{folder}/out/runs/0123"), ["no run here"]),
    "comparison with no run": (
        words("compare", "{folder}/out/runs/0123", "{folder}/out/runs/4567", "--output", "c"),
        ["no run here", "runs/0123"],
    ),
    "comparison for nothing": (
        words("compare", "{folder}/out/runs/0123", "{folder}/out/runs/4567"),
        ["--output", "--votes"],
    ),
    "image suffix": (
        words("image", "{folder}/photo00.jpg", "{folder}/style.jpg", "--output", "o.gif"),
        ["o.gif", ".webp"],
    ),
    "image missing": (
        words("image", "{folder}/no.jpg", "{folder}/style.jpg", "--output", "{folder}/o.jpg"),
        ["no.jpg"],
    ),
    "image is none": (
        words("image", "{folder}/manifest.jsonl", "{folder}/style.jpg", "--output", "o.jpg"),
        ["manifest.jsonl", "cannot decode"],
    ),
    "training for nothing": (
        words("train", "refiner"),
        ["styles: is required", "output_uri: is required"],
    ),
    "training from nothing": (
        words("train", "refiner", "--style", "{folder}/style.jpg", "--output", "{folder}/out"),
        ["--content", "--pictures"],
    ),
    "training without photographs": (training(content="{folder}/no"), ["no such folder", "/no"]),
    "training without a painting": (training(style="{folder}/no.jpg"), ["style", "no.jpg"]),
    "training on no run": (training(pictures="{folder}/out/runs/0123"), ["no run here"]),
    "training setting": (training(set="training.steps=1"), ["training.steps", "no such setting"]),
    "training steps": (training(set="training.num_steps=0"), ["training.num_steps", "'0'"]),
    "deploy without server": (words("deploy"), ["PREFECT_API_URL"]),
    "deploy hour without a job": (deploy("--cron", "0 1 * * *"), ["--cron", "--nightly JOB.yaml"]),
    "deploy time zone": (nightly("--timezone", "Berlin"), ["--timezone Berlin", "Europe/Berlin"]),
    "deploy hour": (
        nightly("--expect-by", "half six", "--notify", "email/ops"),
        ["--expect-by half six", "HH:MM"],
    ),
    "deploy hour that nobody is told of": (nightly("--expect-by", "6:30"), ["--notify TYPE/NAME"]),
    "deploy hour without a night": (
        deploy("--expect-by", "6:30", "--notify", "slack-webhook/ops"),
        ["--expect-by", "--nightly JOB.yaml"],
    ),
    "deploy block": (deploy("--notify", "ops"), ["--notify ops", "slack-webhook/ops"]),
    "deploy devices": (deploy("--gpus", "host"), ["--gpus host", "HOST=N"]),
    "deploy no devices": (deploy("--gpus", "host=0"), ["--gpus host=0", "HOST=N"]),
    "deploy devices twice": (deploy("--gpus", "a=1", "--gpus", "a=2"), ["a=2", "given twice"]),
    "deploy uploads missing": (deploy("--uploads", "{folder}/no.yaml"), ["no.yaml", "cannot read"]),
    "deploy uploads setting": (
        uploads("inbox_uri: s3://inbox\nstyle: a.jpg"),
        ["inbox.yaml", "output_uri: is required", "style: there is no such setting"],
    ),
    "deploy uploads into the inbox": (
        uploads("inbox_uri: s3://inbox\noutput_uri: s3://inbox/out"),
        ["s3://inbox/out", "is in the inbox"],
    ),
}
SERVER = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_request_is_answered_at_once_in_few_lines(desk: Desk, name: str) -> None:
    make_words, expected = CASES[name]
    words = make_words(desk)
    # A wrong request is refused before anybody asks the server.
    answer, imported = ask(desk, words, SERVER if words[0] == "deploy" and words[1:] else None)
    assert_refused(answer, expected)
    assert imported & SLOW == set()
    assert not list(desk.folder.glob("out/*"))


def test_no_credentials_are_told_as_such(desk: Desk) -> None:
    answer, imported = ask(desk, ["run", *desk.request(manifest=STORE)])
    assert_refused(answer, ["manifest", STORE, "no credentials", "AWS_ACCESS_KEY_ID"])
    assert imported & SLOW == set()


def test_a_store_that_is_down_is_told_with_its_variable(desk: Desk) -> None:
    with silent_port(listens=False) as port:
        store = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        answer, imported = ask(desk, ["run", *desk.request(manifest=STORE)], store)
    assert_refused(answer, ["manifest", STORE, "AWS_ENDPOINT_URL"])
    assert imported & SLOW == set()


def test_a_store_that_takes_connections_and_says_nothing_costs_little_time(desk: Desk) -> None:
    started = time.monotonic()
    with silent_port(listens=True) as port:
        store = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        answer, _ = ask(desk, ["run", *desk.request(output="s3://pictures/out")], store)
    assert_refused(answer, ["output cannot be written", "s3://pictures/out", "AWS_ENDPOINT_URL"])
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "listens",
    [
        pytest.param(False, id="down"),
        pytest.param(True, id="silent", marks=pytest.mark.slow),  # which is waited for
    ],
)
@pytest.mark.parametrize("command", ["run", "deploy"])
def test_a_prefect_server_that_does_not_answer_is_told_with_its_address(
    desk: Desk, command: str, listens: bool
) -> None:
    request = ["run", *desk.request()] if command == "run" else ["deploy"]
    with silent_port(listens=listens) as port:
        url = f"http://127.0.0.1:{port}/api"
        answer, imported = ask(desk, request, {"PREFECT_API_URL": url})
    assert_refused(answer, [f"PREFECT_API_URL={url}", "does not answer", "prefect server start"])
    assert imported & SLOW == set()


def test_a_prefect_address_without_a_scheme_is_told_as_such(desk: Desk) -> None:
    answer, _ = ask(desk, ["run", *desk.request()], {"PREFECT_API_URL": "127.0.0.1:4200/api"})
    assert_refused(answer, ["PREFECT_API_URL=127.0.0.1:4200/api", "http://"])


def ask(
    desk: Desk, arguments: list[str], environment: Mapping[str, str] | None = None
) -> tuple[Answer, set[str]]:
    """The answer, and the packages that were imported for it."""
    told = desk.say(*arguments, environment={**TELL_IMPORTS, **(environment or {})})
    lines = told.stderr.splitlines()
    imports = [line for line in lines if line.startswith("import time:")]
    others = [line for line in lines if not line.startswith("import time:")]
    packages = {line.rpartition("|")[2].strip().partition(".")[0] for line in imports}
    assert "deployments" in packages
    return Answer(told.code, told.stdout, "\n".join(others)), packages


def assert_refused(answer: Answer, expected: list[str]) -> None:
    assert (answer.code, answer.stdout) == (2, ""), answer
    assert 1 <= len(answer.stderr.splitlines()) <= 10, answer
    assert "Traceback" not in answer.stderr
    missing = [text for text in expected if text not in answer.stderr]
    assert missing == [], answer


@contextmanager
def silent_port(*, listens: bool) -> Iterator[int]:
    """A port of the loopback that nobody answers on; held, so that nobody else takes it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        if listens:
            held.listen(16)
        yield held.getsockname()[1]
