"""What a process asks of kernel and C library: ties to its parent, its rank, few heaps."""

import contextlib
import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_GET_NAME = 16
M_ARENA_MAX = -8  # of mallopt(3)
HEAPS = 2

_libc = ctypes.CDLL(None, use_errno=True)


def keep_few_heaps() -> None:
    """Have all threads of this process allocate from two heaps.

    By default glibc gives threads up to eight for each core, each of which keeps what it has once
    had: a process that answers requests in many threads then grows for hours.
    """
    with contextlib.suppress(AttributeError):  # another C library, without that habit
        _libc.mallopt(M_ARENA_MAX, HEAPS)


def give_memory_back() -> None:
    """Return to the system what this process has freed; the C library keeps much of it."""
    with contextlib.suppress(AttributeError):  # another C library
        _libc.malloc_trim(0)


def give_way(by: int) -> None:
    """Have other processes go first where the processor is short, from now on and for children."""
    with contextlib.suppress(OSError):
        os.nice(by)


def call_itself(name: str) -> str:
    """Name this process in lists of processes, by 15 bytes at most; the name it had."""
    before = ctypes.create_string_buffer(16)
    _libc.prctl(PR_GET_NAME, before)
    _libc.prctl(PR_SET_NAME, name.encode())
    return before.value.decode(errors="replace")


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent's main thread ends.

    Called in the child, with the id of the parent that forked it.
    """
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request was made
        os.kill(os.getpid(), signal.SIGKILL)
