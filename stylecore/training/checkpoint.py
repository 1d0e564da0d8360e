"""Everything that changes while two networks learn, as bytes: a resumed training is the same one.

The file is safetensors; numbers and texts are JSON in its header. Not a pickle, since whoever can
write to the bucket could else run code here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, JsonValue, ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from stylecore.errors import JobError
from stylecore.perception.tensor_files import read_tensors, write_tensors
from stylecore.settings import FrozenModel
from stylecore.training.adversarial_loop import AdversarialLoop
from stylecore.training.curves import Curves

_HEADER_KEY: Final = "checkpoint"
_RANDOM: Final = "random"
_BEST: Final = "best"


class Progress(FrozenModel):
    """What of a checkpoint is not tensors.

    Attributes:
        kind: tells it from weights.
        request: what is trained, on what: a checkpoint goes on only with the same.
        step: how many steps have been made.
        success: running success rate of the discriminator.
        curves: until here.
        best_step: after which the best weights were seen.
        best_score: of the best weights.
    """

    kind: Literal["adversarial-training"] = "adversarial-training"
    request: dict[str, JsonValue] = Field(default_factory=dict)
    step: int = Field(0, ge=0)
    success: float = Field(0.5, ge=0, le=1)
    curves: Curves = Curves()
    best_step: int | None = None
    best_score: tuple[float, float] | None = None


def save_checkpoint(
    loop: AdversarialLoop[Any, Any], progress: Progress, best: Mapping[str, Tensor]
) -> bytes:
    """Bytes of a training between two steps.

    Args:
        loop: the two networks, their optimizers and the source of chance.
        progress: everything else; its ``step`` and ``success`` are taken from the loop.
        best: the best weights so far, empty if there are none.
    """
    tensors = {_RANDOM: loop.random.get_state()}
    for name, network in _networks(loop).items():
        tensors |= _prefixed(name, network.state_dict())
    for name, optimizer in _optimizers(loop).items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= _prefixed(f"{name}.{index}", state)
    tensors |= _prefixed(_BEST, best)
    progress = progress.model_copy(update={"step": loop.step, "success": loop.success})
    return write_tensors(tensors, {_HEADER_KEY: progress.model_dump_json()})


def restore_checkpoint(
    loop: AdversarialLoop[Any, Any], data: bytes, request: Mapping[str, JsonValue]
) -> tuple[Progress, dict[str, Tensor]]:
    """Put a loop where it was when ``save_checkpoint`` was called.

    Args:
        loop: newly made; it is changed.
        data: from ``save_checkpoint``.
        request: what is trained now.

    Returns:
        Progress, and the best weights so far.

    Raises:
        JobError: the bytes are not a checkpoint, or one of another training.
    """
    tensors, header = read_tensors(data, "checkpoint")
    progress = _read_progress(header)
    _check_request(progress.request, request)
    try:
        for name, network in _networks(loop).items():
            network.load_state_dict(_under(name, tensors))
        for name, optimizer in _optimizers(loop).items():
            _restore_optimizer(optimizer, _under(name, tensors))
        loop.random.set_state(tensors[_RANDOM])
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise JobError(
            f"checkpoint: not of these networks ({error}): delete it to train from the start"
        ) from error
    loop.step, loop.success = progress.step, progress.success
    return progress, _under(_BEST, tensors)


def read_progress(data: bytes) -> Progress:
    """How far a checkpoint is.

    Raises:
        JobError: the bytes are not a checkpoint.
    """
    return _read_progress(read_tensors(data, "checkpoint")[1])


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights as they are now."""
    return copy.deepcopy(network.state_dict())


def _networks(loop: AdversarialLoop[Any, Any]) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {"generator": loop.generator, "average": loop.average}
    if loop.discriminator is not None:
        found["discriminator"] = loop.discriminator
    return found


def _optimizers(loop: AdversarialLoop[Any, Any]) -> dict[str, Optimizer]:
    found: dict[str, Optimizer] = {"generator_optimizer": loop.generator_optimizer}
    if loop.discriminator_optimizer is not None:
        found["discriminator_optimizer"] = loop.discriminator_optimizer
    return found


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    for number, values in state.items():
        parameter = parameters[number]
        others = {tuple(value.shape) for value in values.values()} - {(), tuple(parameter.shape)}
        if number < 0 or others:
            raise ValueError(f"{others} for a parameter of {tuple(parameter.shape)}")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _read_progress(header: Mapping[str, str]) -> Progress:
    try:
        return Progress.model_validate_json(header.get(_HEADER_KEY, ""))
    except ValidationError as error:
        raise JobError(
            "checkpoint: safetensors, but not a checkpoint of a training: delete it to train "
            "from the start"
        ) from error


def _check_request(before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> None:
    others = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if others:
        raise JobError(
            f"checkpoint: of another training ({', '.join(others)} changed): undo the change to "
            "go on with it, or name another output to train from the start"
        )


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
