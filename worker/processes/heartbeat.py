"""Whether a dispatcher or worker is well, for whoever watches over it from outside.

It touches a file of its own again and again from its main loop, also while ledger or queue are
away, since to start it anew would not bring them back. One that hangs does not.
"""

import contextlib
import time

from worker.settings import Settings

SILENCE = 30.0  # s; a look at a ledger that does not answer takes ten


def beat(settings: Settings) -> None:
    """Be well. A file that cannot be written is not touched, and found out by its age."""
    if settings.heartbeat_file is not None:
        with contextlib.suppress(OSError):
            settings.heartbeat_file.touch(mode=0o600)


def silent_for(settings: Settings) -> float:
    """Seconds since the last sign of life.

    Raises
    ------
    OSError
        When there was none yet.
    """
    file = settings.heartbeat_file
    if file is None:
        raise FileNotFoundError(2, "REUCID_HEARTBEAT_FILE is not set", "")
    return time.time() - file.stat().st_mtime
