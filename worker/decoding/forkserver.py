"""The process that a decoder's children are forked from: the readers loaded, nothing else in it.

It is a Python of its own, so a child inherits nothing of the process that asks for it.
"""

import multiprocessing
from multiprocessing import forkserver

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["__main__", "worker.decoding.parent", "worker.decoding.child"])


def start() -> None:
    """Start it without waiting: it loads the readers beside whatever the caller does next."""
    forkserver.ensure_running()
