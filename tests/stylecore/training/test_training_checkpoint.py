import pytest
import torch
from safetensors.torch import save
from toy_game import loop_of

from stylecore.errors import JobError
from stylecore.training.checkpoint import Progress, restore_checkpoint, save_checkpoint, snapshot
from stylecore.training.curves import Curves

REQUEST = {"seed": 1}


def test_restored_loop_goes_on_as_the_saved_one():
    saved = loop_of(noise=0.1, success_limit=0.6)
    for _ in range(3):
        saved.advance()
    saved.success = 0.59  # so that the next steps depend on it
    data = save_checkpoint(saved, Progress(request=REQUEST), {})
    restored = loop_of(seed=7, noise=0.1, success_limit=0.6)
    restore_checkpoint(restored, data, REQUEST)
    assert (restored.step, restored.success) == (3, 0.59)
    figures = [[loop.advance() for _ in range(6)] for loop in (saved, restored)]
    assert figures[0] == figures[1]
    assert {step["is_paused"] for step in figures[0]} == {0.0, 1.0}
    assert saved.average.value == restored.average.value


def test_progress_and_best_weights_come_back():
    loop = loop_of()
    loop.advance()
    curves = Curves().add(1, 10_000, {"loss": 0.5})
    progress = Progress(request=REQUEST, curves=curves, best_step=1, best_score=(0.25, 0.5))
    best = snapshot(loop.average)
    found, found_best = restore_checkpoint(
        loop_of(), save_checkpoint(loop, progress, best), REQUEST
    )
    assert found == progress.model_copy(update={"step": 1, "success": loop.success})
    assert found_best == best


def test_snapshot_does_not_follow_the_network():
    loop = loop_of()
    before = snapshot(loop.generator)
    loop.advance()
    assert before["value"] != loop.generator.value


def test_checkpoint_of_another_request_is_refused_by_what_differs():
    data = save_checkpoint(loop_of(), Progress(request={"seed": 2, "noise": 0.5}), {})
    with pytest.raises(JobError, match=r"noise, seed changed"):
        restore_checkpoint(loop_of(), data, REQUEST)


def test_checkpoint_of_other_networks_is_refused():
    data = save_checkpoint(loop_of(), Progress(request=REQUEST), {})
    other = loop_of()
    other.discriminator = torch.nn.Linear(2, 2)
    with pytest.raises(JobError, match="not of these networks"):
        restore_checkpoint(other, data, REQUEST)


def test_safetensors_of_something_else_are_refused():
    with pytest.raises(JobError, match="not a checkpoint"):
        restore_checkpoint(loop_of(), save({"weight": torch.zeros(1)}), REQUEST)
