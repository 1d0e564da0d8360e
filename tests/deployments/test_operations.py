"""docs/operations.md: every command in it is one that the programs understand."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import prefect.cli
import prefect.settings
import pytest
import typer

from deployments.cli import app

ROOT = Path(__file__).parents[2]
SOME_ID = "90fd1acd-13f9-4a63-85ad-8e735dd28e18"
HANDBOOK = (ROOT / "docs" / "operations.md").read_text()
BLOCKS = "".join(re.findall(r"^```\n(.*?)^```", HANDBOOK, re.DOTALL | re.MULTILINE))
INLINE = "\n".join(re.findall(r"`([^`\n]+)`", HANDBOOK))


def commands_of(program: str) -> list[list[str]]:
    """What follows the program's name, wherever the handbook gives a whole command."""
    lines = dict.fromkeys([*BLOCKS.splitlines(), *INLINE.splitlines()])
    words = [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]
    return [one[1:] for one in words]


@pytest.mark.parametrize("words", commands_of("stylebatch"), ids=" ".join)
def test_stylebatch_understands_the_command(words: list[str]) -> None:
    root = typer.main.get_command(app)
    context = root.make_context("stylebatch", list(words), resilient_parsing=True)
    name, command, rest = root.resolve_command(context, list(words))  # type: ignore[attr-defined]
    required = [one for one in command.params if one.required]
    parsed = command.make_context(name, rest, parent=context, resilient_parsing=not rest)
    assert not rest or all(parsed.params[one.name] is not None for one in required)


@pytest.mark.parametrize("words", commands_of("prefect"), ids=" ".join)
def test_prefect_understands_the_command(words: list[str]) -> None:
    found, given, _ = prefect_parse(words)
    assert callable(found)
    assert given is not None


@pytest.mark.parametrize(
    "words", [["flow-run", "lost"], ["work-pool", "create", "a", "--kind", "docker"]]
)
def test_a_command_that_prefect_does_not_have_would_be_noticed(words: list[str]) -> None:
    import cyclopts

    with pytest.raises(cyclopts.CycloptsError):
        prefect_parse(words)


def test_prefect_knows_every_setting_by_its_name() -> None:
    named = set(re.findall(r"\b(PREFECT_[A-Z_]+)\b", HANDBOOK))
    assert {"PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_AUTH_STRING"} <= named
    assert {name for name in named if not hasattr(prefect.settings, name)} == set()
    assert not hasattr(prefect.settings, "PREFECT_SERVER_AUTH")


def test_files_and_chapters_that_the_handbook_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", HANDBOOK):
        assert (ROOT / "docs" / target).exists(), target
    for path in set(re.findall(r"deployments/docker/[\w.-]+", HANDBOOK)):
        assert (ROOT / path).exists(), path


def test_the_table_of_sizes_is_its_formula() -> None:
    for side, evaluations, images in ((256, 20, "60,075"), (512, 60, "5,006"), (1024, 150, "501")):
        seconds = evaluations * 79.9e9 * 0.75 * (side / 256) ** 2 / 20e12
        assert f"{3600 / seconds:,.0f}" == images
        (row,) = [line for line in HANDBOOK.splitlines() if line.startswith(f"| {side} px")]
        assert images in row


def prefect_parse(words: Sequence[str]) -> tuple[object, ...]:
    from prefect.cli._app import _app

    named = [SOME_ID if word in ("RUN-ID", "SCHEDULE-ID") else word for word in words]
    found: tuple[object, ...] = _app.parse_args(named, exit_on_error=False, print_error=False)
    return found
