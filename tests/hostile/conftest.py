"""Every hostile file is sent once; the tests look at what came back."""

import asyncio

import pytest

from tests.hostile.cases import Canary
from tests.hostile.collection import Outcome, hostile_files, outcome_of, plant


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Canary:
    """The canary, in the folder that holds the server's data."""
    return plant(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def outcome(planted: Canary) -> Outcome:
    """All files of `hostile_files`, sent to one server."""
    return asyncio.run(outcome_of(planted, list(hostile_files(planted))))
