"""A whole training as a flow: from photographs to a refiner, through a stop, and once only."""

import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from local_jobs import LocalBucket
from prefect.artifacts import Artifact
from stub_stylizers import Invert
from training_jobs import TINY, make_run, tiny_perception, training_job

from flows.train_refiner import train_refiner
from stylecore.errors import JobError
from stylecore.perception.encoder import Encoder
from stylecore.refine.files import load_refiner
from stylecore.training.request import TrainRefinerJob
from tasks import training
from tasks.stopping import stop_flag
from tasks.storage import store
from tasks.training_folder import TrainingFolder
from tasks.training_stage import STAGES, Stage

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("harness")]


def folder_of(job: TrainRefinerJob) -> TrainingFolder:
    return TrainingFolder(store(), job.output_uri)


def weights_in(folder: TrainingFolder) -> Mapping[str, torch.Tensor]:
    data = Path(folder.uri("refiner.safetensors")).read_bytes()
    return load_refiner(data, "refiner")[0].state_dict()


def test_photographs_become_pictures_and_these_a_refiner(bucket: LocalBucket) -> None:
    bucket.fill(3)
    (bucket.photographs / "notes.txt").write_text("not a picture")
    job = training_job(bucket, preset="draft", training={**TINY, "num_steps": 3})
    state = train_refiner(job, return_state=True)
    assert state.is_completed(), state.message
    assert str(state.message).startswith("trained on 3 pairs; best after step ")
    folder = folder_of(job)
    assert len(list(Path(folder.uri("pictures", "images")).rglob("*.jpg"))) == 3
    assert Path(folder.uri("refiner.safetensors")).exists()
    progress, curves = Artifact.get(f"training-{folder.id}"), Artifact.get(f"refiner-{folder.id}")
    assert progress is not None
    assert progress.data == 100
    assert curves is not None
    assert "data:image/webp;base64," in str(curves.data)


@pytest.fixture
def _tiny_networks(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_perception", lambda _device: tiny_perception(tiny_encoder))


@pytest.mark.usefixtures("_tiny_networks")
def test_interrupted_training_leaves_a_checkpoint_and_ends_as_if_it_had_never_been(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.fill(3)
    pictures = make_run(bucket).run_uri
    jobs = [
        training_job(bucket, pictures_uri=pictures, output_uri=str(bucket.folder / name))
        for name in ("whole", "stopped")
    ]
    whole, stopped = map(folder_of, jobs)
    assert train_refiner(jobs[0], return_state=True).is_completed()
    with monkeypatch.context() as patch:
        press_control_c_at(2, patch)
        with pytest.raises(KeyboardInterrupt):
            train_refiner(jobs[1], return_state=True)
    assert stopped.find_checkpoint() is not None
    assert stopped.find_card() is None
    assert train_refiner(jobs[1], return_state=True).is_completed()
    first, second = weights_in(whole), weights_in(stopped)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert stopped.find_checkpoint() is None


def press_control_c_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Interrupt this process after a step, and make no other before the flow has heard of it."""
    flags: list[threading.Event] = []
    post = STAGES.post

    def find_flag(session: str) -> threading.Event:
        flags.append(stop_flag(session))
        return flags[-1]

    def look(output_uri: str, stage: Stage) -> None:
        post(output_uri, stage)
        if stage.name == "training" and stage.done == step:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert flags[-1].wait(60)

    patch.setattr(training, "stop_flag", find_flag)
    patch.setattr(STAGES, "post", look)


@pytest.mark.usefixtures("_tiny_networks")
def test_second_start_of_a_finished_training_does_nothing(
    bucket: LocalBucket, invert: Invert
) -> None:
    bucket.fill(3)
    job = training_job(bucket)
    first = train_refiner(job, return_state=True)
    assert len(invert.stylized) == 3
    before = {path: path.stat().st_mtime_ns for path in bucket.folder.rglob("*")}
    second = train_refiner(job, return_state=True)
    assert (second.is_completed(), second.message) == (True, first.message)
    files = {path: path.stat().st_mtime_ns for path in bucket.folder.rglob("*") if path.is_file()}
    assert files == {path: before[path] for path in files}


@pytest.mark.usefixtures("_tiny_networks")
def test_training_that_cannot_start_fails_in_words_of_ours(bucket: LocalBucket) -> None:
    bucket.fill(2)
    run = make_run(bucket)
    for path in bucket.pictures():
        path.unlink()
    state = train_refiner(training_job(bucket, pictures_uri=run.run_uri), return_state=True)
    assert state.is_failed()
    assert str(state.message).startswith(f"{run.run_uri}: none of its pictures can be trained on")


def test_training_that_breaks_before_its_first_step_on_pictures_that_were_there_says_why(
    bucket: LocalBucket, invert: Invert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_device: str) -> None:
        raise JobError("the weights are damaged")

    bucket.fill(2)
    monkeypatch.setattr(training, "load_perception", refuse)
    for _ in range(2):
        state = train_refiner(training_job(bucket), return_state=True)
        assert (state.is_failed(), state.message) == (True, "the weights are damaged")
    assert len(invert.stylized) == 2
