"""A folder on this machine for what is copied before it is read twice."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stylecore.batch.faults import NO_ROOM
from stylecore.batch.leftovers import PREFIX, is_abandoned, temporary_name
from stylecore.errors import JobError, StorageFullError


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder for this process alone, removed afterwards; first removes abandoned ones."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone
            if is_abandoned(left.name, time.time() - left.stat().st_mtime):
                shutil.rmtree(left)
    folder = place / temporary_name()
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def room_for_copies(folder: Path) -> Iterator[None]:
    """Copy something into a scratch folder inside.

    Raises:
        JobError: it has no room.
    """
    try:
        yield
    except (OSError, StorageFullError) as error:
        if isinstance(error, OSError) and error.errno not in NO_ROOM:
            raise
        raise JobError(
            f"no room is left in {folder.parent}, where the manifest is copied to before it is "
            "read. Free some, or set TMPDIR to a folder that has more."
        ) from error
