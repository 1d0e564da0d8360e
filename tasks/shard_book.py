"""The outcomes of one shard while it is being worked on: one a row, no more and no less."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stylecore.batch.ledger import Shard
from stylecore.batch.outcome import Outcome, Status
from stylecore.errors import RowError
from stylecore.images.codec import RgbImage
from tasks.reading import Names

if TYPE_CHECKING:
    from stylecore.metrics.quality import QualityScores
    from stylecore.refine.gate import GateChoice


class ShardBook:
    """Collects outcomes by the row's place in the shard.

    Args:
        shard: the rows.
        tell: called with each outcome, one at a time.
    """

    def __init__(self, shard: Shard, tell: Callable[[Outcome], object]) -> None:
        self.shard = shard
        self._tell = tell
        self._outcomes: dict[int, Outcome] = {}
        self._lock = threading.Lock()

    @property
    def is_complete(self) -> bool:
        """Whether every row has an outcome."""
        return len(self._outcomes) == len(self.shard.rows)

    def outcome(self, index: int) -> Outcome:
        """What came of one row."""
        return self._outcomes[index]

    def outcomes(self) -> list[Outcome]:
        """All of them, in the plan's order."""
        return [self._outcomes[index] for index in range(len(self.shard.rows))]

    def refuse_planned(self) -> list[int]:
        """Fail the rows that planning refused; returns the places of the others."""
        others = []
        for index, row in enumerate(self.shard.rows):
            if row.error_code is None:
                others.append(index)
            else:
                self._add(
                    index, "failed", error_code=row.error_code, error_message=row.error_message
                )
        return others

    def fail(self, index: int, error: RowError) -> None:
        """The row cannot be made, and why."""
        self._add(index, "failed", error_code=error.code, error_message=str(error))

    def skip(self, index: int, names: Names) -> None:
        """The picture existed before the run was planned."""
        self._add(index, "skipped", **_named(names))

    def made(
        self, index: int, names: Names, data: bytes, picture: RgbImage, **figures: Any
    ) -> None:
        """The picture is in its place."""
        height_px, width_px = picture.shape[:2]
        digest = hashlib.sha256(data).hexdigest()
        size = {"width_px": width_px, "height_px": height_px, "output_sha256": digest}
        self._add(index, "made", **_named(names), **size, **figures)

    def _add(self, index: int, status: Status, **values: Any) -> None:
        row, style = self.shard.rows[index], self.shard.style
        outcome = Outcome(
            row_id=row.row_id,
            content_uri=row.content_uri,
            style=style.name,
            style_uri=style.style().uri,
            status=status,
            shard=self.shard.number,
            attempt=self.shard.attempt,
            extra=row.extra,
            **values,
        )
        self.enter(index, outcome)

    def enter(self, index: int, outcome: Outcome) -> None:
        """What came of a row."""
        with self._lock:
            if self._outcomes.setdefault(index, outcome) is not outcome:
                raise AssertionError(f"row {outcome.row_id} has two outcomes")
            self._tell(outcome)


def score_figures(scores: QualityScores | None) -> dict[str, float | None]:
    """Measured quality under the results' column names."""
    return asdict(scores) if scores is not None else {}


def refinement_figures(choice: GateChoice | None) -> dict[str, float | None]:
    """What a gate chose and saw, under the results' column names; nothing without a refiner."""
    if choice is None:
        return {}
    before = choice.before
    return {
        "refine_alpha": choice.alpha,
        "fdrl": choice.after.fdrl,
        "fdrl_unrefined": before.fdrl,
        "lpips_unrefined": before.lpips,
        "ssim_unrefined": before.ssim,
    }


def _named(names: Names) -> dict[str, Any]:
    return {
        "content_version": names.content_version,
        "fingerprint": names.fingerprint,
        "output_uri": names.output_uri,
    }
