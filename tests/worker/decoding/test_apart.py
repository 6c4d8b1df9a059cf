"""Children that wait for their work: each does one thing, with the limits of that."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.waiting import until
from tests.worker.decoding import insiders
from worker.decoding import apart
from worker.decoding.parent import decode
from worker.decoding.terms import Limits
from worker.formats.errors import FormatError

KEEPER = """
import time
from worker.decoding import apart

apart.warm_up()
apart.keep_spares(2)
print(*(each.process.pid for each in apart._spares._waiting), flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def spares() -> Iterator[None]:
    apart.keep_spares(1)
    yield
    apart.keep_spares(0)


def waiting() -> list[int]:
    return [each.process.pid or 0 for each in apart._spares._waiting]


def pid_of_work(folder: Path) -> int:
    """Which process did some work."""
    folder.mkdir()
    assert apart.run_apart(insiders.act_inside, (insiders.pid, folder, ()), 60.0) == 0
    return int(json.loads((folder / "returned").read_text()))


def test_the_one_that_waits_does_the_work_and_never_again(tmp_path: Path) -> None:
    done = []
    for number in range(3):
        until(lambda: len(waiting()) == 1, "it was replaced")
        (spare,) = waiting()
        done.append(pid_of_work(tmp_path / str(number)))
        assert done[-1] == spare
    assert len(set(done)) == 3


def test_one_that_was_killed_while_it_waited_is_passed_over(tmp_path: Path) -> None:
    (spare,) = waiting()
    os.kill(spare, signal.SIGKILL)
    assert pid_of_work(tmp_path / "work") != spare


def test_limits_are_those_of_the_work(tmp_path: Path) -> None:
    """Not those that held when the child was forked."""
    np.save(tmp_path / "original.npy", np.ones((64, 64), np.float32))
    source = (tmp_path / "original.npy").rename(tmp_path / "original")
    with pytest.raises(FormatError) as refusal:
        decode(source, tmp_path, Limits(max_pixels=100, seconds=30.0))
    assert refusal.value.code == "too_many_pixels"
    assert decode(source, tmp_path, Limits(max_pixels=10_000, seconds=30.0)).signals


def test_none_is_left_where_none_is_wanted_any_more() -> None:
    apart.keep_spares(3)
    pids = waiting()
    assert len(pids) == 3
    apart.keep_spares(0)
    until(lambda: not any(map(psutil.pid_exists, pids)))


def test_they_end_with_whoever_kept_them() -> None:
    with subprocess.Popen([sys.executable, "-c", KEEPER], stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        pids = [int(each) for each in keeper.stdout.readline().split()]
        assert len(pids) == 2
        keeper.kill()
    until(lambda: not any(map(psutil.pid_exists, pids)))
