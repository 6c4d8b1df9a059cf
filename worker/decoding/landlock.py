"""Landlock: a process gives up every file, and every TCP port, that it does not name.

The kernel's interface is three system calls, the same on every architecture Linux has Landlock for.
Where the kernel has none, nothing is restricted, and `status` says so.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # numbers of the system calls
GET_VERSION = 1
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG, TRUNCATE, IOCTL_DEV = (
    1 << bit for bit in (0, 1, 2, 3, 5, 8, 14, 15)
)
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the others are of folders
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | MAKE_REG | REMOVE_FILE | TRUNCATE

RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))  # (version, number of rights over files it knows)
PORTS = 0b11  # bind and connect, of TCP; known since version 4
SCOPES = 0b11  # abstract Unix sockets and signals; known since version 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Landlock's version in the running kernel; 0 when there is none."""
    return max(0, int(_libc.syscall(CREATE_RULESET, None, 0, GET_VERSION)))


def status() -> str:
    """One sentence on what Landlock does here, for an operator."""
    found = version()
    if not found:
        return (
            "Landlock: none in this kernel, so a decoder can read what the server's user can; "
            "it is in Linux 5.13 and later, where `lsm=` lists it"
        )
    network = "no TCP port" if found >= 4 else "(Linux 6.7 would also take TCP ports from it)"
    return (
        f"Landlock: version {found}; a decoder reaches its own upload, the libraries and {network}"
    )


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Leave this thread, and what it starts, these files and folders only; False without Landlock.

    Raises
    ------
    OSError
        When the kernel has Landlock and refuses the rules.
    """
    found = version()
    if not found:
        return False
    handled = (1 << max(count for since, count in RIGHTS if since <= found)) - 1
    ruleset = _create(found, handled)
    try:
        for path in readable:
            _allow(ruleset, path, READ & handled)
        for path in writable:
            _allow(ruleset, path, WRITE & handled)
        _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_libc.syscall(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _create(found: int, handled: int) -> int:
    attributes = struct.pack("=Q", handled)
    if found >= 4:
        attributes += struct.pack("=Q", PORTS)
    if found >= 6:
        attributes += struct.pack("=Q", SCOPES)
    return _checked(_libc.syscall(CREATE_RULESET, attributes, len(attributes), 0))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # nothing that could be read
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _checked(_libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
