"""Named points at which a fault suite may catch a process.

With `REUCID_STOP_AT=<folder>`, whoever reaches a point removes the file of that name from the
folder and, having done so, stops itself (SIGSTOP) until it is continued or killed. Nothing happens
without the variable, or without the file.
"""

import os
import signal
from pathlib import Path

_armed = os.environ.get("REUCID_STOP_AT")


def reached(point: str) -> None:
    """Stop here, once, if somebody asked for it."""
    if _armed is None:
        return
    try:
        Path(_armed, point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)
