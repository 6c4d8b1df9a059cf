"""A process forked ahead of its job, so that forking and first steps cost no job any time.

It does one job at most, as any work horse, and is replaced by a new one when that has ended. While
it waits it holds what it has touched so far, beside the pages that it shares with its worker; it
dies with that one.
"""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.kernel import call_itself, die_with

NAME = "reucid-spare"  # of the process while it waits; 15 characters at most
LONGEST_ORDER = 4096  # bytes; what a pipe takes at once

Order = dict[str, str]

log = structlog.get_logger()


@dataclass
class Spare:
    """A forked process that waits for its order.

    Parameters
    ----------
    pid : int
    order : int
        Descriptor of the pipe by which it is told what to do.
    """

    pid: int
    order: int

    @classmethod
    def fork(cls, get_ready: Callable[[], None], work: Callable[[Order], None]) -> "Spare":
        """Fork a process that gets ready, waits for an order and works on that.

        It has a process group of its own. Signals that would stop a worker end it while it waits.
        """
        worker = os.getpid()
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                die_with(worker)
                os.setpgrp()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.close(ours)
                status = _wait_and_work(theirs, get_ready, work)
            except Exception:  # nobody above would say so
                log.exception("spare_failed")
            finally:
                os._exit(status)
        os.close(theirs)
        return cls(pid, ours)

    @property
    def lives(self) -> bool:
        """Whether it still waits; one that has ended is reaped."""
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

    def give(self, order: Order) -> bool:
        """Have it do something; False where it has died while it waited."""
        try:
            if self.lives:
                os.write(self.order, json.dumps(order).encode())
                return True
        except BrokenPipeError:  # just now
            os.waitpid(self.pid, 0)
        finally:
            os.close(self.order)
        return False

    def dismiss(self) -> None:
        """End it, unused."""
        os.close(self.order)
        if self.lives:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _wait_and_work(
    orders: int, get_ready: Callable[[], None], work: Callable[[Order], None]
) -> int:
    """The exit status of the process."""
    name = call_itself(NAME)
    get_ready()
    said = os.read(orders, LONGEST_ORDER)
    os.close(orders)
    if said:  # else nobody needs it
        call_itself(name)
        work(json.loads(said))
    return 0
