"""What an image installs: the wheel, in an environment that has never seen the repository."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import clean_environment
from local_jobs import LocalBucket
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_servers import run_prefect

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PACKAGES = ("stylecore", "tasks", "flows", "deployments")


@dataclass(frozen=True)
class Installation:
    """The installed wheel, and an empty folder to start it in."""

    wheel: Path
    environment: Path
    home: Path

    @property
    def package(self) -> Path:
        """Where the packages lie."""
        (folder,) = self.environment.glob("lib/*/site-packages")
        return folder

    def run(self, *command: str, settings: dict[str, str] | None = None) -> str:
        """Run a program of the environment to its good end; returns what it printed."""
        done = subprocess.run(
            [str(self.environment / "bin" / command[0]), *command[1:]],
            cwd=self.home,
            env=clean_environment(self.home, settings),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """What the Dockerfile does, but for dependencies: they come from where the tests run."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    found = Installation(wheel, environment, tmp_path_factory.mktemp("elsewhere"))
    (found.package / "dependencies.pth").write_text("\n".join(dependencies()))
    subprocess.run([*pip, "--python", environment, "install", "--no-deps", wheel], check=True)
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_prefect(tmp_path_factory.mktemp("prefect")) as api:
        yield api


def test_the_wheel_has_every_file_of_the_packages(installed: Installation) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - names == set()
    for example in ("vgg16-features-fp16.safetensors", "report.html.j2", "astronaut.jpg"):
        assert any(name.endswith(example) for name in names)


def test_it_runs_from_any_folder_without_the_repository(installed: Installation) -> None:
    code = "import deployments.cli, stylecore, tasks, flows; print(deployments.cli.__file__)"
    assert Path(installed.run("python", "-c", code).strip()).is_relative_to(installed.package)
    lines = installed.run("stylebatch", "doctor").splitlines()
    assert [line for line in lines if line.startswith("MISSING")] == []
    samples = installed.package / "deployments" / "samples"
    pair = [str(samples / "content" / "chelsea.jpg"), str(samples / "style" / "poppies.jpg")]
    options = ["--max-side-px", "48", "--set", "optimize.num_evaluations=2"]
    answer = installed.run("stylebatch", "image", *pair, "--output", "a.jpg", *options, "--json")
    assert Path(json.loads(answer)["output"]).name == "a.jpg"
    assert (installed.home / "a.jpg").exists()


def test_a_container_can_make_the_run_of_a_registered_deployment(
    installed: Installation, url: str, tmp_path: Path
) -> None:
    """As the jobs of Kubernetes and Docker do: they know the run's id, and nothing else."""
    bucket = LocalBucket(tmp_path)
    bucket.fill(2)
    server = {"PREFECT_API_URL": url}
    installed.run("stylebatch", "deploy", settings=server)
    job = bucket.job(method="identity").model_dump(mode="json")
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("stylize-manifest/nightly")
        run = client.create_flow_run_from_deployment(deployment.id, parameters={"job": job})
        execute = ("python", "-m", "prefect", "flow-run", "execute")
        installed.run(*execute, settings={**server, "PREFECT__FLOW_RUN_ID": str(run.id)})
        state = client.read_flow_run(run.id).state
    assert state is not None
    assert (state.name, state.message) == ("Completed", "made 2, skipped 0, failed 0")
    assert len(bucket.pictures()) == 2


def dependencies() -> list[str]:
    """Folders of installed packages; their .pth files, and so the repository, are not followed."""
    own = sysconfig.get_paths()["purelib"]
    return [path for path in {own: None, **dict.fromkeys(sys.path)} if "site-packages" in path]
