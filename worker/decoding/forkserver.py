"""The process that a decoder's children are forked from: the readers loaded, nothing else in it.

It is a Python of its own, so a child inherits nothing of the process that asks for it, and does not
run that one's main module again: a script without `if __name__ == "__main__"` may read files, too.
"""

import multiprocessing
import signal
from multiprocessing import forkserver, resource_tracker

context = multiprocessing.get_context("forkserver")
PRELOADED = [
    *("worker.decoding.mainless", "worker.decoding.parent", "worker.decoding.child"),
    "worker.decoding.rehearsal",
]
context.set_forkserver_preload(PRELOADED)


def preload(module: str) -> None:
    """Have it load a module of further work, too; before it is started."""
    if module not in PRELOADED:
        PRELOADED.append(module)
        context.set_forkserver_preload(PRELOADED)


def start() -> None:
    """Start it without waiting: it loads the readers beside whatever the caller does next."""
    # Ctrl-C is for the process that asks; this one, and its children, end when that one does.
    resource_tracker.ensure_running()  # before: starting it lets SIGINT through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
