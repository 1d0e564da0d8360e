"""SIGKILL at random moments: nothing lost, nothing done twice but the shard in flight."""

import random
from pathlib import Path

import pytest
from kill_stories import Account, Story, register
from reliability import See

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.reliability]

KILLS, KILLS_EACH = 50, 5


@pytest.mark.timeout(5400)
def test_after_50_kills_every_row_has_one_outcome_and_its_picture(
    tmp_path: Path, prefect_url: str, seen: See
) -> None:
    register(prefect_url)
    account, number, dice = Account(), 0, random.Random(50)
    while account.kills.total() < KILLS:
        left = KILLS - account.kills.total()
        Story(tmp_path / str(number), prefect_url, dice).tell(account, min(KILLS_EACH, left))
        number += 1
        print(f"{number} runs: {account.text()}", flush=True)  # noqa: T201 - it takes a while
    kills = ", ".join(f"{count} of {victim}" for victim, count in sorted(account.kills.items()))
    seen(f"kill -9 at random moments: {kills}", f"{number} runs, each finished", account.text())
    assert (account.lost, account.doubled, account.failed, account.broken) == (0, 0, 0, 0)
    assert (account.orphans, account.leftovers, account.repeated_elsewhere) == (0, 0, 0)
    assert account.inside > KILLS / 2
