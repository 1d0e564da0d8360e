"""Rules about the project itself: what a reader may rely on in every file."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("stylecore", "tasks", "flows", "deployments")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
COMMAND_LINE = tuple(f"deployments/{name}.py" for name in ("cli", "job_commands", "train_commands"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_every_public_module_says_what_it_is_for() -> None:
    public = [path for path in MODULES if path.name == "__init__.py" or path.name[0] != "_"]
    assert public
    assert [place(path) for path in public if not ast.get_docstring(parse(path))] == []


def test_no_file_has_more_than_300_lines() -> None:
    assert [place(path) for path in MODULES if len(path.read_text().splitlines()) > 300] == []


def test_no_function_has_more_than_40_lines() -> None:
    assert [name for name, function in functions() if num_lines(function) > 40] == []


def test_no_function_has_more_than_6_arguments_except_on_the_command_line() -> None:
    long = [name for name, function in functions() if num_arguments(function) > 6]
    assert [name for name in long if not name.startswith(COMMAND_LINE)] == []


def test_constraints_pin_exact_versions_and_name_no_index_or_path() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 50
    assert [pin for pin in pins if pin.count("==") != 1 or not set(":/@ ").isdisjoint(pin)] == []
    assert not any(line.startswith(("-", "stylebatch")) or "://" in line for line in lines)


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    names = {re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in asked}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normalized(line.split("==")[0]) for line in lines}
    assert {name for name in names if normalized(name) not in pinned} == set()


def test_packages_import_each_other_only_as_the_contracts_say() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_planning_starts_without_torch_prefect_or_pillow() -> None:
    planning = ["stylecore.config", "stylecore.batch", *modules_of(ROOT / "stylecore" / "batch")]
    code = f"import sys, {', '.join(planning)}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"torch", "torchvision", "prefect", "PIL"} & set(done.stdout.split()) == set()


def normalized(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def modules_of(package: Path) -> list[str]:
    names = [path.relative_to(ROOT).with_suffix("") for path in package.glob("[!_]*.py")]
    return [".".join(name.parts) for name in names]


def functions() -> Iterator[tuple[str, Function]]:
    for path in MODULES:
        for node in ast.walk(parse(path)):
            if isinstance(node, Function):
                yield f"{place(path)}:{node.lineno} {node.name}", node


def num_lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def num_arguments(function: Function) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return sum(argument.arg not in {"self", "cls"} for argument in named)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))
