"""The process that a decoder's children are forked from: the readers loaded, nothing else in it.

It is a Python of its own, so a child inherits nothing of the process that asks for it.
"""

import multiprocessing
from multiprocessing import forkserver

context = multiprocessing.get_context("forkserver")
PRELOADED = ["__main__", "worker.decoding.parent", "worker.decoding.child"]
context.set_forkserver_preload(PRELOADED)


def preload(module: str) -> None:
    """Have it load a module of further work, too; before it is started."""
    if module not in PRELOADED:
        PRELOADED.append(module)
        context.set_forkserver_preload(PRELOADED)


def start() -> None:
    """Start it without waiting: it loads the readers beside whatever the caller does next."""
    forkserver.ensure_running()
