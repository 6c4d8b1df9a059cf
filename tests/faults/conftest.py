"""A server to break, and jobs whose results are known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.cases import Case, cases
from tests.faults.checker import check
from tests.faults.history import History
from tests.faults.rig import DELIVERING, Rig
from tests.faults.stored import InFolder, Stored


@pytest.fixture(scope="session")
def known(model: Path) -> list[Case]:
    return cases(8, model)


@pytest.fixture(scope="session")
def make_rig(
    model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Rig]]:
    rigs = []

    def make(environment: dict[str, str] | None = None, **more: object) -> Rig:
        stated = {"REUCID_MODEL": str(model)} | (environment or {})
        rig = Rig(tmp_path_factory.mktemp("rig"), stated, **more)  # type: ignore[arg-type]
        rigs.append(rig)
        rig.start()
        return rig

    yield make
    for rig in rigs:
        if rig.process is not None and rig.process.poll() is None:
            rig.stop()


@pytest.fixture(scope="module")
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(DELIVERING)


@pytest.fixture(scope="module")
def stored(rig: Rig) -> Stored:
    return InFolder(rig.settings.data_dir)


@pytest.fixture(scope="module")
def history(rig: Rig) -> Iterator[History]:
    """What clients of the module's server have noted; every promise is checked at its end, too."""
    noted = History()
    yield noted
    assert check(noted, rig.database, rig.store) == []
