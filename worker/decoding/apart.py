"""Work in a child process, forked from a server that has the readers loaded and nothing else in it.

A child does one thing and ends. Where some are kept ahead of time (`keep_spares`), the next one has
been forked already, has rehearsed and waits for its work; it enters the sandbox then, with the
limits of that work, as any other.
"""

import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from worker.decoding import forkserver
from worker.kernel import call_itself, die_with, give_way

NICENESS = 5  # of a child: whoever only asks is answered first
SPARE_NAME = "reucid-spare"  # of a child that waits
REST = 0.1  # s until a child is replaced; by then the job of an upload has been claimed
PATIENCE = 5.0  # s a child that waits has to be ready; afterwards it is not given anything

Work = Callable[..., None]

_context = forkserver.context
_children = threading.Lock()  # starting a child looks at how all others ended, and takes it away


def warm_up() -> None:
    """Start the server of children, so that the first upload need not wait for it."""
    forkserver.start()
    process = _context.Process(target=os.getpid)
    process.start()
    process.join()


def run_apart(work: Work, arguments: tuple[Any, ...], seconds: float) -> int | None:
    """Have a child do something; its exit status, or None when its time was up.

    `work` enters the sandbox itself, and is found by its name.
    """
    process = _spares.give(work, arguments) or start_apart(_beside, (work, arguments))
    in_time = bool(wait([process.sentinel], seconds))
    if not in_time:
        process.kill()
        wait([process.sentinel])
    status = end_apart(process)
    _spares.refill()
    return status if in_time else None


def start_apart(work: Work, arguments: tuple[Any, ...]) -> BaseProcess:
    """Start a child, which is to be waited for by `end_apart`."""
    return _start(work, arguments, daemon=False)


def end_apart(process: BaseProcess) -> int | None:
    """The exit status of a child that ends."""
    wait([process.sentinel])
    with _children:
        process.join()
        return process.exitcode


def keep_spares(number: int) -> None:
    """Have so many children wait for work from now on; those beyond are ended."""
    _spares.keep(number)


def _start(work: Work, arguments: tuple[Any, ...], *, daemon: bool) -> BaseProcess:
    process = _context.Process(target=work, args=arguments, daemon=daemon)
    forkserver.start()
    with _children:
        process.start()
    return process


def _beside(work: Work, arguments: tuple[Any, ...]) -> None:
    give_way(NICENESS)
    work(*arguments)


# --- children ahead of time ---


class _Spare:
    """A child that waits until it is told what to do, or nobody is left to tell it."""

    def __init__(self) -> None:
        theirs, self._order = _context.Pipe()
        self.process = _start(_wait_for_work, (theirs,), daemon=True)
        theirs.close()

    def give(self, work: Work, arguments: tuple[Any, ...]) -> bool:
        """Have it do something; False where it has died while it waited, or is not ready."""
        try:
            if self._order.poll(PATIENCE):
                self._order.recv()  # it is ready
                self._order.send((work, arguments))
                return True
        except (OSError, EOFError):  # it has died
            pass
        finally:
            self._order.close()
        self.process.kill()
        return False

    def dismiss(self) -> None:
        self._order.close()
        end_apart(self.process)


class _Spares:
    """The children that wait; none, unless somebody wants some."""

    def __init__(self) -> None:
        self._wanted = 0
        self._waiting: list[_Spare] = []
        self._lock = threading.Lock()

    def keep(self, number: int) -> None:
        self._wanted = number
        self._fill()

    def give(self, work: Work, arguments: tuple[Any, ...]) -> BaseProcess | None:
        """A child that was told to do something; None where none waits."""
        while (spare := self._take()) is not None:
            if spare.give(work, arguments):
                return spare.process
            end_apart(spare.process)
        return None

    def refill(self) -> None:
        """Replace what was taken, once whatever the caller does next has had the processors."""
        if len(self._waiting) < self._wanted:
            later = threading.Timer(REST, self._fill)
            later.daemon = True
            later.start()

    def _fill(self) -> None:
        with self._lock:
            while len(self._waiting) < self._wanted:
                self._waiting.append(_Spare())
            while len(self._waiting) > self._wanted:
                self._waiting.pop().dismiss()

    def _take(self) -> _Spare | None:
        try:
            return self._waiting.pop(0)
        except IndexError:
            return None


_spares = _Spares()


def _wait_for_work(orders: Connection) -> None:
    """In the child."""
    die_with(os.getppid())
    give_way(NICENESS)
    name = call_itself(SPARE_NAME)
    from worker.decoding import rehearsal  # the server of children has it

    rehearsal.rehearse()
    try:
        orders.send("ready")
        work, arguments = orders.recv()
    except (OSError, EOFError):  # nobody needs it
        return
    orders.close()
    call_itself(name)
    work(*arguments)
