"""No small file, whatever is in it, costs more than a few seconds of a processor."""

from pathlib import Path

import pytest

from tests.hostile import sers
from tests.hostile.cases import Canary, Case
from tests.hostile.collection import hostile_files
from tests.hostile.costs import Cost, costs
from worker.decoding.terms import OF_ANY_FILE, Limits

SMALL = 10**6  # bytes
SECONDS = 3.0  # of processor time, which a machine's speed matters for and its load does not


@pytest.fixture(scope="module")
def small(planted: Canary, tmp_path_factory: pytest.TempPathFactory) -> list[Cost]:
    """What every hostile file of less than a megabyte costs, in children with a server's limits."""
    folder = tmp_path_factory.mktemp("costs")
    series = folder / "image_1.ser"
    series.write_bytes(sers.valid().content)
    alone = [case for case in hostile_files(planted) if len(case.content) < SMALL]
    lists = [[_written(folder, case)] for case in alone]
    lists += [[_written(folder, case), series] for case in sers.emis(planted)]
    return costs(lists)


def _written(folder: Path, case: Case) -> Path:
    path = folder / case.name
    path.write_bytes(case.content)
    return path


def test_every_small_file_is_cheap(small: list[Cost]) -> None:
    assert len(small) > 400
    assert {cost.name: cost.processor for cost in small if cost.processor > SECONDS} == {}


def test_none_has_to_be_ended(small: list[Cost]) -> None:
    """The limits are for what nobody thought of; what is known is refused for what it is."""
    wrong = {cost.name: (cost.status, cost.code) for cost in small if cost.status or not cost.code}
    assert wrong == {}


def test_a_large_file_has_more_time_than_a_small_one() -> None:
    limits = Limits(1, seconds=30.0)
    given = [limits.processor_seconds(size * 2**20) for size in (0, 1, 8, 1000)]
    assert given == [OF_ANY_FILE, OF_ANY_FILE + 1, OF_ANY_FILE + 8, 30]
    assert Limits(1, seconds=0.5).processor_seconds(0) == 1
