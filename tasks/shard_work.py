"""Makes every picture of a shard, and writes its results last and once.

Retry-safe: pictures that exist are found by name. One bad row becomes a failed outcome; a fault of
the run itself propagates. A claim keeps other processes from the shard meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Final, Literal

from stylecore.batch.claims import Claim, claim_shard
from stylecore.batch.ledger import RunLedger, Shard
from stylecore.batch.outcome import Outcome
from stylecore.batch.suspects import DEADLY_CODES
from stylecore.errors import RunStoppedError
from stylecore.optimize.watch import Watch
from tasks.devices import device_slot, uses_gpu
from tasks.leaving import Budget, Leave
from tasks.outages import StoreWatch
from tasks.progress import ShardProgress, Tally, tally_outcomes
from tasks.server_limit import server_slot
from tasks.shard_book import ShardBook
from tasks.shard_line import make_here
from tasks.stopping import heeding_stop_signs
from tasks.suspect_rows import SuspectRows

Retry = Literal["no", "passing", "failed"]
# Which outcomes are worth another attempt.
RETRIED: Final[Mapping[Retry, Callable[[Outcome], bool]]] = {
    "passing": Outcome.may_pass,
    "failed": Outcome.has_failed,
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardRequest:
    """Which shard to work on, in words that fit into a task run's parameters.

    ``session`` names this attempt at the run: its stop flag, and its listing of pictures.
    ``signs`` are the sessions of other processes whose stop sign ends the work.
    """

    run_uri: str
    number: int
    session: str
    retry: Retry = "no"
    device: str = "auto"
    budget: Budget = Budget()
    signs: tuple[str, ...] = ()


def work_through_shard(ledger: RunLedger, request: ShardRequest, attempt: int = 1) -> Tally | None:
    """Make a shard's pictures and write its results, unless somebody else is at it.

    Args:
        ledger: the run.
        request: the shard.
        attempt: of the task run; another one looks again which pictures there are.

    Returns:
        The counts of its outcomes, of some of them where the budget was used up: then the shard
        stays to be done, without the pictures that are made. None where somebody else works on it.

    Raises:
        RunStoppedError: the session's stop flag was set; the shard stays to be done.
        StoreAwayError: the store was away for too long, or has no room; so does it.
    """
    store = StoreWatch(ledger, request.session, request.budget)
    look_out = heeding_stop_signs(ledger, request.session, request.signs)
    with look_out, ExitStack() as ends:
        claim = store.bridge(lambda: ends.enter_context(claim_shard(ledger, request.number)))
        if claim is None:
            return None
        before = store.bridge(lambda: _outcomes_before(ledger, request.number))
        shard = store.bridge(lambda: _shard_to_do(ledger, request, bool(before)))
        if shard is None:
            return tally_outcomes(before)
        leave = Leave(request.session, request.budget, lambda: claim.seems_lost, store)
        work = _Work(ledger, shard, request, leave)
        try:
            work.make_rows(claim, attempt, is_suspect(claim, before))
        except RunStoppedError:
            if leave.was_asked_for():
                raise
        return store.bridge(lambda: work.close(claim))


def _outcomes_before(ledger: RunLedger, number: int) -> list[Outcome]:
    # Most shards have none, and a listing of all results for each would be quadratic.
    return ledger.outcomes_of(number) if ledger.has_results(number) else []


def is_suspect(claim: Claim, before: Iterable[Outcome]) -> bool:
    """Whether something in the shard may have ended a process: then each row is made apart."""
    return claim.follows_death or any(outcome.error_code in DEADLY_CODES for outcome in before)


def _shard_to_do(ledger: RunLedger, request: ShardRequest, is_done: bool) -> Shard | None:
    if request.retry != "no":
        return ledger.read_failed_rows(request.number, RETRIED[request.retry])
    return None if is_done else ledger.read_shard(request.number)


class _Work:
    """One claim's work on a shard."""

    def __init__(
        self, ledger: RunLedger, shard: Shard, request: ShardRequest, leave: Leave
    ) -> None:
        self._ledger = ledger
        self._request = request
        self._leave = leave
        self._progress = ShardProgress(ledger, shard.number, len(shard.rows), request.session)
        self._book = ShardBook(shard, self._progress.add)

    def make_rows(self, claim: Claim, attempt: int, apart: bool) -> None:
        """Bring every row to its outcome, as long as there is time."""
        todo = self._book.refuse_planned()
        suspects = SuspectRows(self._ledger, self._book, self._leave, self._request)
        known = suspects.among(todo)
        careful = todo if apart else known
        if careful:
            with self._slot(apart=True):
                suspects.make(careful)
        others = sorted(set(todo) - set(careful))
        if others and self._leave.begins_another():
            # Others may have made pictures of the shard after this session listed them.
            listing = f"{self._request.session}/{attempt}" if claim.number == 1 else None
            with self._slot(apart=False):
                place = (self._request.device, listing)
                make_here(self._ledger, self._book, others, self._leave, place)

    def _slot(self, apart: bool) -> AbstractContextManager[object]:
        check_stop = Watch(should_stop=self._leave.drops_pictures).check_stop
        if self._ledger.record.job.method == "identity":
            return nullcontext()
        if uses_gpu(self._request.device):
            return server_slot(check_stop)
        # The other process does not see who computes in this one.
        return device_slot(self._request.device, check_stop) if apart else nullcontext()

    def close(self, claim: Claim) -> Tally | None:
        """Write the results, if the shard is complete and still ours."""
        if claim.is_lost():
            _log.warning("shard %05d was taken over by somebody else, who goes on", claim.shard)
            return None
        if not self._book.is_complete:
            self._progress.write()
        elif not self._ledger.write_results(self._book.shard, self._book.outcomes()):
            _log.warning("shard %05d was finished by somebody else; theirs stands", claim.shard)
        claim.is_done = self._book.is_complete
        return self._progress.tally
