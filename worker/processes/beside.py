"""Work that goes on in a thread of its own, beside what a process is there for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event


@contextmanager
def beside(run: Callable[[Event], None], name: str, *, patience: float) -> Iterator[None]:
    """Run until the block ends, which tells it to stop and waits so many seconds for it."""
    stop = Event()
    # A daemon: a disk that does not answer must not keep the process alive.
    thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(patience)
