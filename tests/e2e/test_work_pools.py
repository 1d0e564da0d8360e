"""The work pools of deployments/docker on a real server, and the jobs that workers would start."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import Workplace
from command_line import clean_environment
from docker.types import HostConfig
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from sample_images import GREAT_WAVE

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "docker"
KUBERNETES_VERSIONS = ("1.30", "1.34", "1.37")
ENGINE_API = "1.47"
POOL = "stylebatch"


@pytest.fixture(scope="module", autouse=True)
def server(workplace: Workplace) -> Iterator[str]:
    """This process' own view of the server."""
    with temporary_settings({PREFECT_API_URL: workplace.prefect_url}):
        yield workplace.prefect_url


@pytest.fixture(scope="module")
def night(workplace: Workplace, server: str) -> Iterator[dict[str, Any]]:
    """A run of the nightly deployment, in a Kubernetes pool that was there before ``deploy``."""
    create_pool(workplace, POOL, "kubernetes", "--overwrite")
    job = workplace.home / "night.yaml"
    job.write_text(
        f"manifest_uri: s3://inbox/n/\nstyles: [{GREAT_WAVE}]\noutput_uri: s3://outbox/n\n"
    )
    answer = workplace.stylebatch("deploy", "--nightly", str(job))
    assert answer.code == 0, answer
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("stylize-manifest/nightly")
        run = client.create_flow_run_from_deployment(deployment.id, name="night 1")
        pool = client.read_work_pool(POOL)
        yield {"flow_run": run, "deployment": deployment, "work_pool": pool}
        client.delete_work_pool(POOL)


@pytest.mark.parametrize("kind", ["kubernetes", "docker"])
def test_the_command_of_the_handbook_makes_a_pool(workplace: Workplace, kind: str) -> None:
    name = f"handbook-{kind}"
    create_pool(workplace, name, kind)
    with get_client(sync_client=True) as client:
        pool = client.read_work_pool(name)
        client.delete_work_pool(name)
    assert (pool.type, pool.base_job_template) == (kind, pool_template(kind))


def test_deploy_uses_the_pool_that_is_there_whatever_its_kind(night: dict[str, Any]) -> None:
    assert night["work_pool"].type == "kubernetes"
    assert night["deployment"].work_pool_name == POOL


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_job_that_a_kubernetes_worker_makes_is_what_kubernetes_accepts(
    night: dict[str, Any], version: str
) -> None:
    import kubernetes_validate

    job = kubernetes_job(night)
    assert job["metadata"]["generateName"] == "night-1-"
    kubernetes_validate.validate(job, version, strict=True)


def test_a_kubernetes_job_has_one_gpu_is_not_root_and_is_never_repeated_by_the_cluster(
    night: dict[str, Any],
) -> None:
    spec = kubernetes_job(night)["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert (spec["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert container["envFrom"][0]["secretRef"] == {"name": "stylebatch-aws", "optional": True}
    assert spec["ttlSecondsAfterFinished"] == 3600


def test_a_deployment_may_ask_for_another_image_size_and_environment(
    night: dict[str, Any],
) -> None:
    given = {"image": "stylebatch:cpu", "gpus": 0, "memory": "4Gi", "env": {"A": "1"}}
    job = kubernetes_job(night, **given)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "stylebatch:cpu"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 0, "memory": "4Gi"}
    assert {"name": "A", "value": "1"} in container["env"]


def test_a_docker_container_gets_the_first_gpu_and_few_rights() -> None:
    settings = docker_settings()
    host = HostConfig(ENGINE_API, **settings.container_create_kwargs, mem_limit=settings.mem_limit)
    (request,) = host["DeviceRequests"]
    assert (request["DeviceIDs"], request["Capabilities"]) == (["0"], [["gpu"]])
    assert (host["CapDrop"], host["Memory"], host["Init"]) == (["ALL"], 16 * 2**30, True)
    assert settings.volumes == ["/etc/stylebatch/aws:/home/stylebatch/.aws:ro"]


def test_a_docker_container_without_a_gpu_asks_for_none() -> None:
    settings = docker_settings(device_requests=[], image="stylebatch:cpu")
    host = HostConfig(ENGINE_API, **settings.container_create_kwargs)
    assert (settings.image, host["DeviceRequests"]) == ("stylebatch:cpu", [])


@pytest.mark.parametrize("kind", ["kubernetes", "docker"])
def test_a_pool_offers_no_variable_that_does_nothing(kind: str) -> None:
    template = pool_template(kind)
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert set(template["variables"]["properties"]) == used
    assert all(one.get("description") for one in template["variables"]["properties"].values())


def create_pool(workplace: Workplace, name: str, kind: str, *more: str) -> None:
    """The command of docs/operations.md, started where it says: at the repository's root."""
    template = f"deployments/docker/{kind}-pool.json"
    prefect = [sys.executable, "-m", "prefect"]
    done = subprocess.run(
        [*prefect, "work-pool", "create", name]
        + ["--type", kind, "--base-job-template", template, *more],
        cwd=ROOT,
        env=clean_environment(workplace.home, {"PREFECT_API_URL": workplace.prefect_url}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def kubernetes_job(night: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The manifest as the worker would send it, by the worker's own code."""
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    template = night["work_pool"].base_job_template
    settings = asyncio.run(
        KubernetesWorkerJobConfiguration.from_template_and_values(template, values)
    )
    settings.prepare_for_flow_run(**night, worker_name="worker 1")
    manifest: dict[str, Any] = settings.job_manifest
    return manifest


def docker_settings(**values: Any) -> Any:
    from prefect_docker.worker import DockerWorkerJobConfiguration

    template = pool_template("docker")
    return asyncio.run(DockerWorkerJobConfiguration.from_template_and_values(template, values))


def pool_template(kind: str) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((FOLDER / f"{kind}-pool.json").read_text())
    return template
