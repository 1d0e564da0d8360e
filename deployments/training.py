"""``train``: start a training in this process, and follow it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.progress import Progress, TaskID

from deployments.console import complain, new_progress, say
from deployments.environment import check_server, prepare_prefect, server_url
from deployments.running import EXIT_BROKEN, EXIT_DONE
from deployments.server_loss import ServerLostError, noticing_server_loss
from stylecore.batch.store import Store
from stylecore.training.request import (
    TrainArbitraryJob,
    TrainingJob,
    TrainRefinerJob,
    TrainTranslatorJob,
)
from tasks.preparing_training import prepare_training
from tasks.training_folder import TrainingFolder, describe_card
from tasks.training_stage import STAGES, Stage

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

_REFRESH_S: Final = 0.5


def train_here(job: TrainingJob) -> int:
    """Train a network, and say what came of it; a finished one is left as it is.

    Returns:
        The exit code: 0 it is trained, 1 it is not.

    Raises:
        JobError: the request is wrong; Prefect was not even imported.
    """
    check_server()
    folder = prepare_training(Store(), job)
    if folder.find_card() is not None:
        say(f"this {folder.record.network} is trained already; nothing was done")
        return _conclude(folder)
    prepare_prefect()
    where = server_url() or "Prefect's embedded server"
    try:
        with _StageProgress(folder.output_uri).shown(), noticing_server_loss():
            state = _run_flow(job)
    except KeyboardInterrupt:
        complain(f"stopped; start the same command again to go on\n{folder.output_uri}")
        return EXIT_BROKEN
    except ServerLostError as lost:
        complain(f"{lost}; start the same command again to go on\n{folder.output_uri}")
        return EXIT_BROKEN
    if not state.is_completed():
        complain(f"the training did not finish ({where}): {state.message}\n{folder.output_uri}")
        return EXIT_BROKEN
    return _conclude(folder)


def _run_flow(job: TrainingJob) -> State[Any]:
    if isinstance(job, TrainRefinerJob):
        from flows.train_refiner import train_refiner

        return train_refiner(job, return_state=True)
    if isinstance(job, TrainArbitraryJob):
        from flows.train_arbitrary import train_arbitrary

        return train_arbitrary(job, return_state=True)
    if isinstance(job, TrainTranslatorJob):
        from flows.train_translator import train_translator

        return train_translator(job, return_state=True)
    from flows.train_generator import train_generator

    return train_generator(job, return_state=True)


def _conclude(folder: TrainingFolder) -> int:
    """Print what the network is worth, where things are, and its folder last."""
    say(describe_card(folder.find_card() or {}))
    say(f"{folder.record.network:10}{folder.weights_uri}")
    say(f"curves    {folder.uri('curves.svg')}")
    say(f"samples   {folder.uri('samples')}/")
    say(folder.output_uri)
    return EXIT_DONE


class _StageProgress:
    """A bar that follows a training by asking twice a second what it is at."""

    def __init__(self, output_uri: str) -> None:
        self._output_uri = output_uri
        self._done = threading.Event()
        self._shown: str | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar while the body runs."""
        with new_progress() as progress:
            task = progress.add_task("training", total=None, counts="starting Prefect")
            thread = threading.Thread(target=self._follow, args=(progress, task), daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._done.set()
                thread.join()

    def _follow(self, progress: Progress, task: TaskID) -> None:
        is_last = False
        while not is_last:
            is_last = self._done.wait(_REFRESH_S)
            stage = STAGES.read(self._output_uri)
            if stage is not None:
                self._show(progress, task, stage)

    def _show(self, progress: Progress, task: TaskID, stage: Stage) -> None:
        if stage.name != self._shown:  # another stage has another speed
            progress.reset(task, total=stage.total, description=stage.name)
            self._shown = stage.name
        progress.update(task, completed=stage.count(), counts=stage.counts())
