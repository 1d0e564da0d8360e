"""Names of flow runs, from parameters that anybody may have typed."""

from __future__ import annotations

from collections.abc import Callable

from prefect import runtime

from stylecore.printable import printable


def run_name(template: str) -> Callable[[], str]:
    """For ``flow_run_name``: the template with the run's parameters, as one printable line."""

    def name() -> str:
        parameters = runtime.flow_run.parameters
        return template.format_map({key: printable(str(parameters[key])) for key in parameters})

    return name
