"""``image --save-every``: intermediate pictures beside the output."""

from pathlib import Path

import pytest
from PIL import Image
from stub_stylizers import install_invert
from typer.testing import CliRunner

from deployments.cli import app


def test_steps_are_written_beside_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_invert(monkeypatch)
    for name in ("photo", "painting"):
        Image.new("RGB", (60, 40), "teal").save(tmp_path / f"{name}.png")
    names = [str(tmp_path / f"{name}.png") for name in ("photo", "painting", "out")]
    options = ["--max-side-px", "30", "--save-every", "2", "--set", "device=cpu"]
    ran = CliRunner().invoke(app, ["image", *names[:2], "--output", names[2], *options])
    assert ran.exit_code == 0, ran.output
    steps = sorted((tmp_path / "out-timelapse").iterdir())
    assert [path.name for path in steps] == ["00002.png", "00004.png"]
    assert {Image.open(path).size for path in (*steps, tmp_path / "out.png")} == {(30, 20)}


def test_an_output_without_a_folder_is_written_where_the_command_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_invert(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "painting.png"):
        Image.new("RGB", (60, 40), "teal").save(name)
    ran = CliRunner().invoke(app, ["image", "photo.png", "painting.png", "--output", "out.jpg"])
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "out.jpg").exists()
