"""The command line, but that every picture takes a while longer to write.

Usage: slow_stylebatch.py SECONDS ARGUMENT...
"""

import sys
import time

from deployments.cli import main
from stylecore.batch.store import Store

_write_bytes = Store.write_bytes
_SECONDS = float(sys.argv.pop(1))


def _write_slowly(store: Store, uri: str, data: bytes, content_type: str | None = None) -> None:
    if "/images/" in uri:
        time.sleep(_SECONDS)
    _write_bytes(store, uri, data, content_type)


if __name__ == "__main__":
    Store.write_bytes = _write_slowly  # type: ignore[method-assign]
    main()
