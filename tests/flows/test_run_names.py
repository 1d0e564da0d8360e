"""What the dashboard calls a run."""

import pytest
from prefect import flow, runtime

from flows.run_names import run_name


@flow(name="named", flow_run_name=run_name("retry {uri} of {count}"))
def named(uri: str, count: int) -> str:
    return str(runtime.flow_run.name)


@pytest.mark.usefixtures("harness")
def test_a_run_is_named_by_its_parameters_without_control_characters() -> None:
    assert named("s3://outbox/runs/0123", 2) == "retry s3://outbox/runs/0123 of 2"
    name = named("s3://outbox/\x1b[2J\nrun\u202e", 2)
    assert name.isprintable()
    assert name.startswith("retry s3://outbox/")
