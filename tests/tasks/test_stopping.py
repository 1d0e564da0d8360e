"""A stop sign in the ledger reaches the shards that other processes work on."""

from pathlib import Path
from uuid import uuid4

import pytest

from stylecore.batch.ledger import RunLedger
from stylecore.batch.store import Store
from tasks import stopping
from tasks.stopping import heeding_stop_signs, raise_stop_sign, stop_flag


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLedger:
    monkeypatch.setattr(stopping, "_LOOK_EVERY_S", 0.01)
    return RunLedger(Store(), str(tmp_path), "0123")


def test_a_sign_of_one_of_the_sessions_sets_the_flag(ledger: RunLedger) -> None:
    own, parent, other = (uuid4().hex for _ in range(3))
    with heeding_stop_signs(ledger, own, (other, parent)):
        assert not stop_flag(own).wait(0.1)
        raise_stop_sign(ledger, parent)
        assert stop_flag(own).wait(20)
    assert not stop_flag(other).is_set()


def test_a_sign_that_was_there_before_counts(ledger: RunLedger) -> None:
    own, parent = uuid4().hex, uuid4().hex
    raise_stop_sign(ledger, parent)
    with heeding_stop_signs(ledger, own, (parent,)):
        assert stop_flag(own).wait(20)


def test_after_the_work_nobody_looks_out_any_more(ledger: RunLedger) -> None:
    own, parent = uuid4().hex, uuid4().hex
    with heeding_stop_signs(ledger, own, (parent,)):
        pass
    raise_stop_sign(ledger, parent)
    assert not stop_flag(own).wait(0.1)


def test_whoever_raises_the_sign_has_its_own_flag_set_even_if_the_store_is_away(
    ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise stopping.RowError("uri", "away")

    monkeypatch.setattr(Store, "write_bytes", refuse)
    session = uuid4().hex
    raise_stop_sign(ledger, session)
    assert stop_flag(session).is_set()
