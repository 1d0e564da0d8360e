"""``stylebatch doctor``: says what is missing, and no secret."""

from __future__ import annotations

import pytest

from deployments.doctor import examine

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
