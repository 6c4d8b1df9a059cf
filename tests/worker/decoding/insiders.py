"""What a child does when the file has won and runs code of its own.

Imported in children, so it imports little.
"""

import importlib.util
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.npys import Bomb
from worker.decoding.parent import ANSWER, Limits
from worker.decoding.sandbox import Allowance, enter
from worker.store.names import PIXELS

MIB = 2**20
SECONDS = 20.0


def act_inside(act: Callable[..., Any], folder: Path, arguments: Sequence[Any]) -> None:
    """Enter the limits, act, and leave what came of it."""
    allowance = enter([Path(__file__)], folder, SECONDS)
    (folder / "returned").write_text(json.dumps(act(allowance, *arguments)))


def environment(_: Allowance) -> Any:
    return [dict(os.environ), [path.name for path in Path().iterdir()], _open_files()]


def _open_files() -> list[int]:
    return [fd for fd in range(64) if _is_open(fd)]


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def reachable(_: Allowance, paths: list[str], port: int) -> Any:
    def can(action: Callable[[], Any]) -> bool:
        try:
            action()
        except OSError:
            return False
        return True

    reads = [path for path in paths if can(lambda path=path: Path(path).read_bytes())]
    writes = [
        path for path in paths if can(lambda path=path: os.open(path, os.O_WRONLY | os.O_CREAT))
    ]
    connects = can(lambda: socket.create_connection(("127.0.0.1", port), 1))
    return [reads, writes, connects]


def importable(_: Allowance, names: list[str]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name)]


def hoard(allowance: Allowance, admitted: int) -> int:
    """Bytes that can be had, in pieces, after so many were admitted."""
    allowance.admit(admitted)
    kept = []
    try:
        while len(kept) < 4096:
            kept.append(bytearray(MIB))
    except MemoryError:
        had = len(kept) * MIB
        kept.clear()
        return had
    return len(kept) * MIB


def fill_disk(allowance: Allowance) -> int:
    allowance.admit(MIB)
    with Path("large").open("wb") as file:
        try:
            for _ in range(64):
                file.write(bytes(MIB))
                file.flush()
        except OSError:
            pass
    return Path("large").stat().st_size


class Liar:
    def __init__(self, act: Callable[[Path], Any]) -> None:
        self._act = act

    def __call__(self, _files: Any, folder: Path, _limits: Limits) -> None:
        os.chdir(folder)
        self._act(folder)


IMAGE = {"format": "tiff", "shape": [4, 5], "dtype": "uint16"}


def _answer(file: Any) -> None:
    Path(ANSWER).write_text(json.dumps(file))


def honest(_: Path, **changes: Any) -> None:
    np.save(PIXELS, np.ones((4, 5), np.uint16))
    signal = IMAGE | {"title": "a\0b\ud800", "metadata": {"gain": float("nan")}}
    _answer({"file": {"format": "tiff", "signals": [signal]} | changes})


def no_answer(_: Path) -> None:
    np.save(PIXELS, np.ones((4, 5), np.uint16))


def not_json(_: Path) -> None:
    Path(ANSWER).write_bytes(b"\xff\xfe{")


def nested(_: Path) -> None:
    Path(ANSWER).write_text("[" * 10**6)


def long(_: Path) -> None:
    with Path(ANSWER).open("wb") as file:
        file.truncate(2**40)


def a_list(_: Path) -> None:
    _answer([1, 2])


def no_signal(folder: Path) -> None:
    honest(folder, signals=[])


def other_default(folder: Path) -> None:
    honest(folder, default=7)


def text_shape(folder: Path) -> None:
    honest(folder, signals=[IMAGE | {"shape": "4x5"}])


def other_shape(folder: Path) -> None:
    honest(folder, signals=[IMAGE | {"shape": [400, 500]}])


def no_pixels(_: Path) -> None:
    _answer({"file": {"format": "tiff", "signals": [IMAGE]}})


def pickle(folder: Path) -> None:
    honest(folder)
    pickled = np.empty((4, 5), object)
    pickled[:] = [[Bomb(folder.parent / "unpickled")] * 5] * 4
    np.save(PIXELS, pickled, allow_pickle=True)


def short_pixels(folder: Path) -> None:
    honest(folder)
    os.truncate(PIXELS, 140)


def link_to_pixels(folder: Path) -> None:
    honest(folder)
    Path(PIXELS).rename(folder.parent / "elsewhere.npy")
    Path(PIXELS).symlink_to(folder.parent / "elsewhere.npy")


def hard_link_to_pixels(folder: Path) -> None:
    honest(folder)
    os.link(PIXELS, "again.npy")


def link_to_answer(_: Path) -> None:
    Path(ANSWER).symlink_to("/etc/passwd")


def pipe_for_answer(_: Path) -> None:
    os.mkfifo(ANSWER)


def odd_refusal(_: Path) -> None:
    _answer({"refusal": {"code": "a\r\nSet-Cookie: b", "message": "c"}})


def odd_limit(_: Path) -> None:
    limit = {"limit": "max_pixels", "most": [], "got": {}}
    _answer({"refusal": {"code": "too_large", "message": "c"} | limit})


def killed(_: Path) -> None:
    os.kill(os.getpid(), 9)


def crashed(_: Path) -> None:
    os.abort()


def asleep(_: Path) -> None:
    time.sleep(60)


def busy(folder: Path) -> None:
    enter([], folder, SECONDS, processor_seconds=1)
    while True:
        pass


LIES = [
    *(no_answer, not_json, nested, long, a_list, no_signal, other_default, text_shape),
    *(other_shape, no_pixels, pickle, short_pixels, link_to_pixels, hard_link_to_pixels),
    *(link_to_answer, pipe_for_answer, odd_refusal, odd_limit, killed, crashed, asleep),
]


def pid(_: Allowance) -> int:
    return os.getpid()
