"""The disk is full exactly when something is to be committed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from tests.faults import scenarios
from tests.faults.cases import Case
from tests.faults.checker import check
from tests.faults.history import Client, History
from tests.faults.rig import Rig
from tests.support.waiting import until
from worker.contract import State
from worker.ledger.tables import images

IN_API = ("accept.stored", "accept.entered")
IN_WORKER = ("job.claimed", "job.written", "job.sealed", "dispatch.counted")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    try:
        mounted = scenarios.small_disk(tmp_path / "disk", 24)
        folder = mounted.__enter__()
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"no filesystem of its own can be mounted here: {error}")
    yield folder
    mounted.__exit__(None, None, None)


def test_a_disk_that_is_full_within_a_commit_loses_nothing(
    make_rig: Callable[..., Rig], known: list[Case], disk: Path
) -> None:
    rig, history = make_rig(workers=1, data_dir=disk), History()
    with Client(rig.url, history, 1, allowed=(503, 507)) as client, ThreadPoolExecutor(1) as pool:
        for n, point in enumerate(IN_WORKER):
            with rig.stopped_at(point) as find:
                wanted = client.submit(known[n])
                stopped = find()
                with scenarios.full(disk):
                    stopped.resume()
                    until(lambda stopped=stopped: has_gone_on(stopped), "it has met it")
            until(lambda wanted=wanted: rig.jobs.get(wanted.job_id).state.terminal, "it has ended")
            job = rig.jobs.get(wanted.job_id)
            if job.state is State.FAILED:
                assert job.failure is not None
                assert job.failure.code == "insufficient_storage"
            client.follow(wanted)
        for n, point in enumerate(IN_API, start=len(IN_WORKER)):
            with rig.stopped_at(point) as find:
                asked = pool.submit(client.try_to_submit, known[n])
                api = find()
                with scenarios.full(disk):
                    api.resume()
                    wanted, answer = asked.result()
            assert answer is not None, "the connection was dropped"
            assert answer.status_code in (202, 507), answer.text
            if answer.status_code == 202:
                client.follow(wanted)
            folders = {name for names in rig.store.walk("images", 99) for name in names}
            with rig.database.reading() as connection:
                rows = set(connection.execute(select(images.c.id)).scalars())
            assert folders == rows, "files without a row take space that is short"
        after = client.submit(known[-1])
        client.follow(after)
        client.fetch(after)
        assert len(after.results) == 1
    assert check(history, rig.database, rig.store) == []
    rig.stop()


def has_gone_on(process: psutil.Process) -> bool:
    """Whether a horse that was continued has ended; a dispatcher only goes on."""
    try:
        command = process.cmdline()  # of one that has ended: nothing
        return not command or command[-1] == "dispatch"
    except psutil.NoSuchProcess:
        return True
