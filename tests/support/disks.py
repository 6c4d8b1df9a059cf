"""Ledgers in this process need not outlast a power failure; those of servers are as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from worker.ledger import database

set_pragmas = database._set_pragmas


def _set_pragmas_but_do_not_sync(connection: Any, record: object) -> None:
    set_pragmas(connection, record)
    connection.execute("PRAGMA synchronous=OFF")


@contextmanager
def unsynced() -> Iterator[None]:
    """Spare SQLite the wait for the disk after each commit, as the tests' PostgreSQL is spared."""
    with patch.object(database, "_set_pragmas", _set_pragmas_but_do_not_sync):
        yield
