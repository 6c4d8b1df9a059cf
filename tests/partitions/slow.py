"""A slow link: packets of a host take their time, and some are lost.

As `tc netem` does it, which not every kernel has: frames pass between two TAP devices, one on the
host and one at the switch, through a thread that holds each for a while and drops some.
"""

import contextlib
import fcntl
import heapq
import os
import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.partitions.network import SWITCH, Network

TUNSETIFF = 0x400454CA
TAP, WITHOUT_HEADER = 0x0002, 0x1000  # IFF_TAP, IFF_NO_PI
LARGEST = 2**16  # bytes of a frame
LINK = "slow0"
LOOK = 0.05  # s after which the end of the context is seen


@contextmanager
def slow_link(
    network: Network, host: str, *, delay_s: float, loss: float, seed: int
) -> Iterator[None]:
    """Put a slow cable in the place of a host's; each way takes so long and loses such a share."""
    ends = [_tap(network, host), _tap(network, SWITCH, f"{LINK}-{network.port_of(host)}")]
    network.replace_cable(host, LINK, f"{LINK}-{network.port_of(host)}")
    over = threading.Event()
    passing = threading.Thread(target=_pass_on, args=(ends, delay_s, loss, Random(seed), over))
    passing.start()
    try:
        yield
    finally:
        over.set()
        passing.join()
        for end in ends:
            os.close(end)


def _tap(network: Network, host: str, name: str = LINK) -> int:
    """A TAP device on a host: its descriptor."""
    with network.entered(host):
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), TAP | WITHOUT_HEADER))
    return device


def _pass_on(
    ends: list[int], delay_s: float, loss: float, rng: Random, over: threading.Event
) -> None:
    """Hold frames and pass them on in their order."""
    under_way: list[tuple[float, int, int, bytes]] = []  # due at, number, where to, frame
    number = 0
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    while not over.is_set():
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else LOOK
        for end in select.select(ends, [], [], min(wait, LOOK))[0]:
            with contextlib.suppress(BlockingIOError):
                frame = os.read(end, LARGEST)
                if rng.random() >= loss:
                    number += 1
                    heapq.heappush(
                        under_way, (time.monotonic() + delay_s, number, other[end], frame)
                    )
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(under_way)
            with contextlib.suppress(OSError):  # nobody has the device up
                os.write(end, frame)
