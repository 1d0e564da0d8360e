"""The objects of a training, below its output: what was asked for, how far it is, what came of it.

job.json                what was asked for; written first and once
cleaning.json           which photographs are fit to train on, and why the others are not; once
paintings.json          the same of a folder of paintings, for an arbitrary generator
photographs.jsonl       manifest of the fit ones, and
pictures/               the run that stylized them, for a refiner, where no other run was named
checkpoint.safetensors  the training between two steps, until it is finished
samples/ curves.json curves.svg
refiner.safetensors     or generator.safetensors, of whatever kind
card.json               what the network is; written last: its presence means that it is finished
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

from pydantic import Field, ValidationError

from stylecore.batch.fingerprint import digest_of
from stylecore.batch.store import Store
from stylecore.batch.uris import join_uri
from stylecore.errors import JobError, MissingError
from stylecore.settings import FrozenModel
from stylecore.training.cleaning import DropReason
from stylecore.training.request import TrainingJob

_MAX_BYTES: Final = 2**28
_JSON: Final = "application/json"
TrainingKind = Literal[
    "refiner-training", "generator-training", "arbitrary-training", "translator-training"
]


class TrainingRecord(FrozenModel):
    """``job.json``.

    Attributes:
        kind: tells it from a run's.
        created_at: when it was first asked for.
        versions: of what it was started with.
        style_digests: SHA-256 of the paintings' files.
        job: with every URI whole.
    """

    kind: TrainingKind = "refiner-training"
    created_at: datetime
    versions: dict[str, str]
    style_digests: tuple[str, ...]
    job: TrainingJob

    @property
    def network(self) -> str:
        """What is trained, in one word."""
        return self.kind.removesuffix("-training")


class DroppedPhotograph(FrozenModel):
    """A photograph that is not fit to train on, and why."""

    uri: str
    reason: DropReason
    detail: str


class CleaningReport(FrozenModel):
    """``cleaning.json``: every photograph, either kept or dropped."""

    photographs: int
    dropped_by_reason: dict[DropReason, int]
    dropped: tuple[DroppedPhotograph, ...] = Field(())
    kept: tuple[str, ...]

    def line(self, what: str = "photograph") -> str:
        """The counts in one line."""
        counts = [f"{count} {reason}" for reason, count in self.dropped_by_reason.items() if count]
        dropped = f"; dropped {', '.join(counts)}" if counts else ""
        return f"kept {len(self.kept)} of {self.photographs} {what}s{dropped}"


_Kept = TypeVar("_Kept", bound=FrozenModel)


class TrainingFolder:
    """Reads and writes the objects of one training.

    Args:
        store: where the objects are.
        output_uri: their folder, normalized.
    """

    def __init__(self, store: Store, output_uri: str) -> None:
        self.store = store
        self.output_uri = output_uri
        self.id = digest_of(output_uri)[:16]

    def uri(self, *parts: str) -> str:
        """An object of this training."""
        return join_uri(self.output_uri, *parts)

    @property
    def weights_uri(self) -> str:
        """Where the network goes when it is trained."""
        name = "refiner" if self.record.network == "refiner" else "generator"
        return self.uri(f"{name}.safetensors")

    @cached_property
    def record(self) -> TrainingRecord:
        """What was asked for.

        Raises:
            JobError: there is no training here.
        """
        record = self.find_record()
        if record is None:
            raise JobError(f"{self.output_uri}: no training was started here")
        return record

    def find_record(self) -> TrainingRecord | None:
        """What was asked for, where a training was started here.

        Raises:
            JobError: somebody else's ``job.json`` is there.
        """
        return self._read("job.json", TrainingRecord)

    def write_record(self, record: TrainingRecord) -> None:
        """Write ``job.json``, if nobody has."""
        text = record.model_dump_json(indent=2)
        self.store.create_once(self.uri("job.json"), text.encode())

    def find_cleaning(self) -> CleaningReport | None:
        """What cleaning found, where it is done."""
        return self._read("cleaning.json", CleaningReport)

    def write_cleaning(self, report: CleaningReport) -> None:
        """Write ``cleaning.json``."""
        self.write_json("cleaning.json", report.model_dump(mode="json"))

    def find_paintings(self) -> CleaningReport | None:
        """What cleaning a folder of paintings found, where it is done."""
        return self._read("paintings.json", CleaningReport)

    def write_paintings(self, report: CleaningReport) -> None:
        """Write ``paintings.json``."""
        self.write_json("paintings.json", report.model_dump(mode="json"))

    def find_checkpoint(self) -> bytes | None:
        """The latest checkpoint."""
        return self._find("checkpoint.safetensors")

    def write_checkpoint(self, data: bytes) -> None:
        """Replace the checkpoint."""
        self.store.write_bytes(self.uri("checkpoint.safetensors"), data)

    def delete_checkpoint(self) -> None:
        """Remove the checkpoint: the training is finished."""
        self.store.delete(self.uri("checkpoint.safetensors"))

    def find_card(self) -> dict[str, Any] | None:
        """``card.json``, where the training is finished."""
        data = self._find("card.json")
        if data is None:
            return None
        card: dict[str, Any] = json.loads(data)
        return card

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write an object of JSON."""
        self.store.write_bytes(self.uri(name), json.dumps(value, indent=2).encode(), _JSON)

    def _find(self, name: str) -> bytes | None:
        try:
            return self.store.read_bytes(self.uri(name), _MAX_BYTES)[0]
        except MissingError:
            return None

    def _read(self, name: str, kind: type[_Kept]) -> _Kept | None:
        data = self._find(name)
        try:
            return None if data is None else kind.model_validate_json(data)
        except ValidationError as error:
            raise JobError(
                f"{self.uri(name)}: not of a training of ours: name another output folder"
            ) from error


def describe_card(card: Mapping[str, Any]) -> str:
    """What ``card.json`` says, in one line."""
    return _DESCRIPTIONS[card["kind"]](card, card["metrics"])


def _describe_refiner(card: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    strength = f"strength {card['alpha']:g}" if card["alpha"] else "no strength helps the style"
    return (
        f"trained on {card['pairs']} pairs; best after step {metrics['step']:.0f}, which the gate "
        f"accepts on {metrics['accepted']:.0%} of {metrics['pictures']:.0f} validation pictures, "
        f"fdRL gain {metrics['fdrl_gain']:.1%}; {strength}"
    )


def _describe_generator(card: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    names = ", ".join(style["name"] for style in card["styles"])
    return (
        f"trained on {card['num_photographs']} photographs for {names}; best after step "
        f"{metrics['step']:.0f}: objective {metrics['total_loss']:.3g}, LPIPS "
        f"{metrics['lpips_content']:.3f} on {metrics['pictures']:.0f} validation pictures"
    )


def _describe_arbitrary(card: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    return (
        f"trained on {card['num_photographs']} photographs and {card['num_paintings']} paintings; "
        f"best after step {metrics['step']:.0f}: content {metrics['content_loss']:.3g}, style "
        f"{metrics['style_loss']:.3g}, LPIPS {metrics['lpips_content']:.3f} on "
        f"{metrics['pictures']:.0f} validation pictures"
    )


def _describe_translator(card: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    return (
        f"trained on {card['num_photographs']} and {card['num_examples']} pictures; best after "
        f"step {metrics['step']:.0f}: FD-VGG {metrics['fd_vgg']:.3g} from the pictures to become "
        f"like ({metrics['fd_vgg_before']:.3g} before), LPIPS {metrics['lpips_content']:.3f} on "
        f"{metrics['pictures']:.0f} validation pictures"
    )


_DESCRIPTIONS: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, float]], str]]] = {
    "refiner": _describe_refiner,
    "generator": _describe_generator,
    "arbitrary": _describe_arbitrary,
    "translator": _describe_translator,
}
