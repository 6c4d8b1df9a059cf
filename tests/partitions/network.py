"""Hosts as network namespaces on one switch, and the ways to break the links between them.

A namespace belongs to a thread: whoever enters a host has its network, and so have the threads and
processes that are started meanwhile. Nothing outside the namespaces is changed.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

NAMESPACES = Path("/run/netns")  # where iproute2 keeps them
HERE = Path("/proc/thread-self/ns/net")
CLONE_NEWNET = 0x40000000
NET = "10.77.0"  # the first three of four; every network is one of its own
SWITCH = "switch"
PREFIX = "reucid"
CHAIN = "forward"

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


class NoNetworkError(Exception):
    """Why no hosts can be made here."""


class Direction(StrEnum):
    """Which packets of a host are lost."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"
    BOTH = "both"


def check() -> None:
    """Raise NoNetworkError where namespaces, bridges or filters cannot be made."""
    for program in ("ip", "nft"):
        if shutil.which(program) is None:
            raise NoNetworkError(f"no {program} (on Debian: apt install iproute2 nftables)")
    try:
        with Network() as network:
            network.add_host("probe")
            with network.cut("probe", SWITCH, Direction.BOTH):
                pass
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NoNetworkError(f"no network namespaces can be made here: {said.strip()}") from error


class Network:
    """A switch and its hosts; all gone at the end of the context."""

    def __init__(self) -> None:
        self._name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._hosts: dict[str, str] = {}  # the address of each

    def __enter__(self) -> "Network":
        _remove_left_over()
        _run("ip", "netns", "add", self._namespace(SWITCH))
        self._hosts[SWITCH] = f"{NET}.1"
        try:
            self._in(SWITCH, "link", "set", "lo", "up")
            self._in(SWITCH, "link", "add", "bridge0", "type", "bridge")
            self._in(SWITCH, "addr", "add", f"{NET}.1/24", "dev", "bridge0")
            self._in(SWITCH, "link", "set", "bridge0", "up")
            self._filter(
                "add table bridge cuts",
                f"add chain bridge cuts {CHAIN} {{ type filter hook {CHAIN} priority 0; }}",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._hosts:
            subprocess.run(["ip", "netns", "del", self._namespace(host)], check=False)

    def add_host(self, host: str) -> str:
        """A new host's address."""
        number = len(self._hosts) + 1
        self._hosts[host] = address = f"{NET}.{number}"
        port = self.port_of(host)
        _run("ip", "netns", "add", self._namespace(host))
        self._in(
            *(SWITCH, "link", "add", port, "type", "veth", "peer", "name", "eth0"),
            *("netns", self._namespace(host)),
        )
        self._in(SWITCH, "link", "set", port, "master", "bridge0", "up")
        self._in(host, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            self._in(host, "link", "set", link, "up")
        return address

    def replace_cable(self, host: str, device: str, port: str) -> None:
        """Have a host's address on another device, whose other end is at the switch."""
        self._in(host, "link", "set", "eth0", "down")
        self._in(host, "addr", "flush", "dev", "eth0")
        self._in(host, "addr", "add", f"{self._hosts[host]}/24", "dev", device)
        self._in(host, "link", "set", device, "up")
        self._in(SWITCH, "link", "set", port, "master", "bridge0", "up")

    def address(self, host: str) -> str:
        return self._hosts[host]

    def port_of(self, host: str) -> str:
        """The name of the switch's end of a host's cable."""
        return f"port{list(self._hosts).index(host)}"

    @contextmanager
    def entered(self, host: str) -> Iterator[None]:
        """Be on a host: this thread, and what it starts."""
        before = os.open(HERE, os.O_RDONLY)
        there = os.open(NAMESPACES / self._namespace(host), os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(before)
            os.close(there)
            os.close(before)

    @contextmanager
    def cut(self, host: str, other: str, direction: Direction) -> Iterator[None]:
        """Lose what a host sends to another, what it gets from there, or both, without a word.

        At the switch, so that neither end hears of it.
        """
        port, address = self.port_of(host), self.address(other)
        name = f"cut_{next(_numbers)}"
        rules = []
        if direction is not Direction.INCOMING:
            rules.append(f'iifname "{port}" ip daddr {address} drop')
        if direction is not Direction.OUTGOING:
            rules.append(f'oifname "{port}" ip saddr {address} drop')
        self._filter(
            f"add chain bridge cuts {name}",
            *(f"add rule bridge cuts {name} {rule}" for rule in rules),
            f"add rule bridge cuts {CHAIN} jump {name}",
        )
        try:
            yield
        finally:  # what lies in the chain is what is lost: an empty one loses nothing
            self._filter(f"flush chain bridge cuts {name}")

    def _namespace(self, host: str) -> str:
        return f"{self._name}-{host}"

    def _in(self, host: str, *command: str) -> None:
        _run("ip", "-netns", self._namespace(host), *command)

    def _filter(self, *commands: str) -> None:
        with self.entered(SWITCH):
            subprocess.run(
                ["nft", "-f", "-"],
                input="\n".join(commands) + "\n",
                check=True,
                text=True,
                capture_output=True,
            )


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, text=True, capture_output=True)


def _remove_left_over() -> None:
    """Namespaces of processes that were killed."""
    with contextlib.suppress(FileNotFoundError):
        for namespace in NAMESPACES.glob(f"{PREFIX}-*-*"):
            pid = namespace.name.split("-")[1]
            if not Path("/proc", pid).exists():
                subprocess.run(["ip", "netns", "del", namespace.name], check=False)
