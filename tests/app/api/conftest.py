"""A queue."""

from collections.abc import Iterator

import pytest

from tests.support.servers import Valkey, valkey_server


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey_server(tmp_path_factory.mktemp("queue")) as valkey:
        yield valkey
