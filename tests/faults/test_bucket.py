"""The same promises where the store is a bucket: every point of a kill, a storm, the store away."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.cases import Case
from tests.faults.history import Client, History
from tests.faults.rig import DELIVERING, Rig
from tests.faults.stored import PREFIX, InBucket, Stored
from tests.faults.test_faults import (
    ended,
    test_a_flipped_bit_is_reported_and_never_served,
    test_a_process_killed_at_any_point_costs_and_doubles_nothing,
    test_nothing_is_lost_or_doubled_in_a_storm,
)
from tests.support.buckets import CREDENTIALS, S3Server
from worker.contract import State

__all__ = [
    "test_a_flipped_bit_is_reported_and_never_served",
    "test_a_process_killed_at_any_point_costs_and_doubles_nothing",
    "test_nothing_is_lost_or_doubled_in_a_storm",
]


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    return s3.bucket()


@pytest.fixture(scope="module")
def rig(make_rig: Callable[..., Rig], s3: S3Server, bucket: str) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield make_rig(DELIVERING | {"REUCID_STORE_URL": s3.url(bucket, PREFIX)})


@pytest.fixture(scope="module")
def stored(rig: Rig, s3: S3Server, bucket: str) -> Stored:
    return InBucket(s3, bucket, rig.settings.data_dir)


def test_a_job_outlasts_a_store_that_goes_away(
    rig: Rig, history: History, known: list[Case], s3: S3Server
) -> None:
    """It goes between the result and the moment in which it is to be kept."""
    with Client(rig.url, history, 5) as client:
        with rig.stopped_at("job.written") as find:
            wanted = client.submit(known[0])
            horse = find()
            s3.stop()
            horse.resume()
        time.sleep(1.0)  # for the horse to find nobody there; if it has not, nothing is different
        assert not rig.jobs.get(wanted.job_id).state.terminal
        s3.start()
        assert ended(rig, wanted) is State.SUCCEEDED
        client.fetch(wanted)
