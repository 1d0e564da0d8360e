"""Training as a task does it: what it leaves, how it goes on after a stop, and never twice."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from local_jobs import LocalBucket
from training_jobs import make_run, tiny_perception, training_job

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from stylecore.errors import JobError, RunStoppedError, StorageFaultError
from stylecore.images.codec import decode_image
from stylecore.perception.encoder import Encoder
from stylecore.refine.files import load_refiner
from tasks import refiner_training, training
from tasks.preparing_training import prepare_training
from tasks.stopping import stop_flag
from tasks.training import Interim, TrainingRequest, train_to_the_end
from tasks.training_folder import TrainingFolder, describe_card
from tasks.training_sources import INPUT_LIMITS, clean_photographs
from tasks.training_stage import STAGES, Stage


@pytest.fixture(autouse=True)
def _tiny_networks(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "load_perception", lambda _device: tiny_perception(tiny_encoder))


@pytest.fixture
def run(bucket: LocalBucket) -> RunLedger:
    bucket.fill(4)
    return make_run(bucket)


@pytest.fixture
def start(bucket: LocalBucket, run: RunLedger) -> Callable[[str], TrainingFolder]:
    def prepare(name: str) -> TrainingFolder:
        output = str(bucket.folder / name)
        job = training_job(bucket, pictures_uri=run.run_uri, output_uri=output)
        folder = prepare_training(Store(), job)
        clean_photographs(folder)
        return folder

    return prepare


def train(folder: TrainingFolder, run: RunLedger, session: str = "") -> list[Interim]:
    shown: list[Interim] = []
    request = TrainingRequest("cpu", session or folder.output_uri)
    train_to_the_end(folder, run.run_uri, request, shown.append)
    return shown


def stop_after(step: int, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a session's stop flag when that step is shown."""
    post = STAGES.post

    def look(output_uri: str, stage: Stage) -> None:
        post(output_uri, stage)
        if stage.done == step:
            stop_flag(session).set()

    monkeypatch.setattr(STAGES, "post", look)


def weights_in(folder: TrainingFolder) -> Mapping[str, torch.Tensor]:
    data = Path(folder.uri("refiner.safetensors")).read_bytes()
    return load_refiner(data, "refiner")[0].state_dict()


def test_finished_training_leaves_refiner_card_curves_and_samples(
    start: Callable[[str], TrainingFolder], run: RunLedger
) -> None:
    folder = start("one")
    shown = train(folder, run)
    names = {str(path.relative_to(folder.output_uri)) for path in found_files(folder)}
    samples = {name for name in names if name.startswith("samples/")}
    assert names - samples == {
        *("job.json", "cleaning.json", "refiner.safetensors"),
        *("card.json", "curves.json", "curves.svg"),
    }
    assert [interim.validation.step for interim in shown] == [2, 4]
    assert [point.step for point in shown[-1].curves] == [1, 2, 3, 4]
    curves = json.loads(Path(folder.uri("curves.json")).read_text())
    assert [point["step"] for point in curves["points"]] == [1, 2, 3, 4]
    (sample,) = samples
    pixels = decode_image(Path(folder.uri(sample)).read_bytes(), sample, INPUT_LIMITS)
    height, width, _ = pixels.shape
    assert max(height, (width - 16) // 3) == 32  # three pictures and two gaps


def found_files(folder: TrainingFolder) -> list[Path]:
    return [path for path in Path(folder.output_uri).rglob("*") if path.is_file()]


def test_card_beside_the_weights_is_the_one_inside_them_and_more(
    start: Callable[[str], TrainingFolder], run: RunLedger
) -> None:
    folder = start("one")
    train(folder, run)
    card = folder.find_card()
    assert card is not None
    inside = load_refiner(Path(folder.uri("refiner.safetensors")).read_bytes(), "refiner")[1]
    own = inside.model_dump(mode="json")
    assert {name: card[name] for name in own} == own
    assert (card["pairs"], card["pictures_uri"]) == (4, run.run_uri)
    assert describe_card(card).startswith("trained on 4 pairs; best after step ")


@pytest.mark.parametrize("step", [1, 3])
def test_stopped_training_goes_on_from_its_checkpoint_to_the_weights_of_an_uninterrupted_one(
    start: Callable[[str], TrainingFolder],
    run: RunLedger,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    whole, stopped = start("whole"), start("stopped")
    train(whole, run)
    with monkeypatch.context() as patch:
        stop_after(step, f"stopped after {step}", patch)
        with pytest.raises(RunStoppedError, match=f"after step {step}"):
            train(stopped, run, f"stopped after {step}")
    assert stopped.find_card() is None
    assert stopped.find_checkpoint() is not None
    shown = train(stopped, run)
    assert stopped.find_checkpoint() is None
    assert [point.step for point in shown[-1].curves] == [1, 2, 3, 4]
    first, second = weights_in(whole), weights_in(stopped)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_finished_training_is_not_repeated(
    start: Callable[[str], TrainingFolder], run: RunLedger
) -> None:
    folder = start("one")
    train(folder, run)
    before = {path: path.stat().st_mtime_ns for path in found_files(folder)}
    assert train(folder, run) == []
    assert {path: path.stat().st_mtime_ns for path in found_files(folder)} == before


def test_checkpoint_is_written_when_its_time_has_come_and_gone_at_the_end(
    start: Callable[[str], TrainingFolder], run: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = TrainingFolder.write_checkpoint

    def look(folder: TrainingFolder, data: bytes) -> None:
        sizes.append(len(data))
        write(folder, data)

    monkeypatch.setattr(TrainingFolder, "write_checkpoint", look)
    train(start("rarely"), run)
    assert sizes == []
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_S", 0.0)
    folder = start("often")
    train(folder, run)
    assert len(sizes) == 4
    assert folder.find_checkpoint() is None


def test_checkpoint_that_cannot_be_written_does_not_end_the_training(
    start: Callable[[str], TrainingFolder], run: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: TrainingFolder, _data: bytes) -> None:
        raise StorageFaultError(folder.output_uri, "the disk is full")

    monkeypatch.setattr(training, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(TrainingFolder, "write_checkpoint", fail)
    folder = start("one")
    train(folder, run)
    assert folder.find_card() is not None


def test_picture_that_changed_between_two_starts_is_told(
    bucket: LocalBucket,
    start: Callable[[str], TrainingFolder],
    run: RunLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = start("one")
    with monkeypatch.context() as patch:
        stop_after(1, "before the change", patch)
        with pytest.raises(RunStoppedError):
            train(folder, run, "before the change")
    bucket.pictures()[0].unlink()
    with pytest.raises(JobError, match=r"of another training \(pairs changed\)"):
        train(folder, run)


def test_memory_that_does_not_suffice_is_told_with_what_to_lower(
    start: Callable[[str], TrainingFolder], run: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(refiner_training, "train_refiner", run_out)
    with pytest.raises(JobError, match=r"into memory: lower training\.batch_size"):
        train(start("one"), run)
