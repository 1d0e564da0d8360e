"""``stylebatch doctor``: says what is missing, asks the store, and shows no secret."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from servers import S3Server

from deployments.doctor import examine, examine_store
from deployments.findings import Finding
from stylecore.errors import JobError

SECRET = "canary-of-the-mine"


def test_a_whole_installation_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert examine() == 0
    text = capsys.readouterr().out
    assert "MISSING" not in text
    assert "512 px" in text


def test_a_server_that_does_not_answer_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert examine() == 1
    assert "MISSING  server" in capsys.readouterr().out


def test_damaged_weights_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("stylecore.perception.weights.VGG16_SHA256", "0" * 64)
    assert examine() == 1
    assert "MISSING  weights" in capsys.readouterr().out


def test_variables_are_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    examine()
    text = capsys.readouterr().out
    assert "AWS_SECRET_ACCESS_KEY" in text
    assert SECRET not in text


def test_a_full_disk_is_missing_and_advice_says_where_scratch_may_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    full = shutil._ntuple_diskusage(10**12, 10**12, 5 * 10**8)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    assert examine() == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISSING")]
    assert [line.split()[1] for line in lines] == ["disk", "disk"]
    assert "TMPDIR" in lines[1]


def states(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in findings}


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    assert states(examine_store(str(tmp_path))) == {"store": "ok", "clock": "ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_is_asked_with_these_credentials(
    s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states(examine_store("s3://outbox/here")) == {"store": "ok", "clock": "ok"}
    assert not [name for name in s3_environment.client().find("outbox") if "check" in name]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    (finding,) = examine_store("s3://outbox/here")
    assert finding.state == "MISSING"
    assert "s3://outbox/here" in finding.text


def test_a_folder_that_cannot_be_written_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    findings = list(examine_store(str(tmp_path / "file" / "out")))
    assert findings[-1].state == "MISSING"
    assert "cannot be written" in findings[-1].text


def test_what_is_no_folder_is_a_wrong_request() -> None:
    with pytest.raises(JobError, match="folder"):
        examine("http://elsewhere/folder")
