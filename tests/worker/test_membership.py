"""Who may start beside whom during an upgrade."""

import pytest

from worker.ledger.database import Database
from worker.ledger.members import Member, Members
from worker.membership import MixedVersionsError, admit, obstacle, this_member

OLD, NEW = "0.1.0", "0.10.0"


@pytest.mark.parametrize(
    ("role", "version", "other", "others", "may"),
    [
        ("worker", NEW, "api", OLD, True),
        ("worker", OLD, "api", NEW, False),
        ("dispatcher", OLD, "api", NEW, False),
        ("api", NEW, "worker", OLD, False),
        ("api", NEW, "dispatcher", OLD, False),
        ("api", OLD, "worker", NEW, True),
        ("api", NEW, "api", OLD, True),
        ("worker", OLD, "worker", NEW, True),
        ("worker", OLD, "dispatcher", NEW, True),
        ("api", NEW, "worker", NEW, True),
    ],
)
def test_no_worker_is_older_than_an_api(
    role: str, version: str, other: str, others: str, may: bool
) -> None:
    reason = obstacle(Member("this", role, version), [Member("there", other, others)])
    assert (reason == "") == may
    assert may or "upgrade workers and dispatchers first" in reason


def test_a_process_enters_and_leaves(database: Database) -> None:
    member = admit(database, "api")
    assert Members(database).alive(within_s=60) == [member] == [this_member("api")]
    Members(database).beat(member)
    Members(database).leave(member.name)
    assert Members(database).alive(within_s=60) == []


def test_an_api_does_not_start_beside_an_older_worker(database: Database) -> None:
    Members(database).beat(Member("host:1", "worker", "0.0.1"))
    with pytest.raises(MixedVersionsError, match=r"host:1 the older 0\.0\.1"):
        admit(database, "api", patience=0.0)
    assert [each.role for each in Members(database).alive(within_s=60)] == ["worker"]
    Members(database).leave("host:1")
    admit(database, "api", patience=0.0)
