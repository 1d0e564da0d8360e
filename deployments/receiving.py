"""``receive``: the receiver and its bell in one process, until SIGTERM."""

from __future__ import annotations

import signal
import threading

from deployments.environment import check_server, event_token
from deployments.receiver import Receiver
from deployments.sweep_bell import SweepBell, start_sweep
from stylecore.batch.faults import job_errors
from stylecore.batch.uris import check_folder
from stylecore.errors import JobError


def receive_events(inbox_uri: str, port: int) -> None:
    """Listen for notifications, and start a sweep for those about the inbox.

    Raises:
        JobError: there is no token, the server does not answer, or the port is taken.
    """
    with job_errors("inbox"):
        inbox = check_folder(inbox_uri)
    token = event_token()
    check_server()
    bell = SweepBell(start_sweep)
    try:
        receiver = Receiver(port, token, inbox, bell.ring)
    except OSError as error:
        raise JobError(f"--port {port}: {error.strerror}. Give another one.") from error
    ringing = threading.Thread(target=bell.run, daemon=True)
    ringing.start()
    # ``shutdown`` waits for the loop that this thread is in.
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=receiver.shutdown, daemon=True).start()
    )
    with receiver:
        receiver.serve_forever()
    bell.stop()
