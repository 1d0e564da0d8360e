"""An independent look at what a Prefect server keeps: its API's JSON, with ids and time stamps."""

import time
from typing import Any

import httpx

_KINDS = {
    "deployments": "deployments/filter",
    "automations": "automations/filter",
    "limits": "v2/concurrency_limits/filter",
    "pools": "work_pools/filter",
    "flows": "flows/filter",
    "blocks": "block_documents/filter",
}


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """All that ``deploy`` could write to, whole."""
    found = {}
    for kind, path in _KINDS.items():
        answer = ask("POST", f"{url}/{path}", {}).json()
        found[kind] = sorted(answer, key=lambda thing: str(thing["id"]))
    return found


def deployment(url: str, name: str) -> dict[str, Any]:
    """One deployment, by its whole name."""
    answer = ask("GET", f"{url}/deployments/name/{name}")
    found: dict[str, Any] = answer.json()
    return found


def deployments(url: str) -> set[str]:
    """Names of all deployments, with those of their flows."""
    kept = everything(url)
    flows = {flow["id"]: flow["name"] for flow in kept["flows"]}
    return {f"{flows[one['flow_id']]}/{one['name']}" for one in kept["deployments"]}


def automations(url: str) -> set[str]:
    """Names of all automations."""
    return {one["name"] for one in everything(url)["automations"]}


def limits(url: str) -> dict[str, int]:
    """Limits of devices."""
    found = {one["name"]: one["limit"] for one in everything(url)["limits"]}
    return {name: limit for name, limit in found.items() if name.startswith("gpu:")}


def runs(url: str, name: str) -> list[dict[str, Any]]:
    """Runs of a deployment, the latest first."""
    ours = {"id": {"any_": [deployment(url, name)["id"]]}}
    asked = {"deployments": ours, "sort": "EXPECTED_START_TIME_DESC"}
    answer = ask("POST", f"{url}/flow_runs/filter", asked)
    found: list[dict[str, Any]] = answer.json()
    return found


def start(url: str, name: str, **parameters: Any) -> str:
    """Start a run of a deployment as a person would; returns its id."""
    path = f"{url}/deployments/{deployment(url, name)['id']}/create_flow_run"
    state = {"type": "SCHEDULED"}
    asked = {"parameters": parameters, "state": state}
    answer = ask("POST", path, asked)
    return str(answer.json()["id"])


def state(url: str, run_id: str) -> dict[str, Any]:
    """The state of a run: name and message."""
    answer = ask("GET", f"{url}/flow_runs/{run_id}")
    found: dict[str, Any] = answer.json()["state"]
    return found


def has_ended(url: str, run_id: str) -> bool:
    """Whether a run is over, however it ended."""
    return state(url, run_id)["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def ask(method: str, url: str, body: object = None) -> httpx.Response:
    """Call the API; a server whose database is busy for a moment is asked again."""
    for _ in range(20):
        answer = httpx.request(method, url, json=body, timeout=30)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.5)
    return answer.raise_for_status()
