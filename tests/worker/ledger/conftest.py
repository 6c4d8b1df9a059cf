"""Time enough for a writer to wait, however slow the disk is that others write to."""

import pytest

from worker.ledger import database


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test claims of writers at once does not depend on how long a sync takes."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 600.0)
