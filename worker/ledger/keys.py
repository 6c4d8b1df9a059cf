"""The keys of a ledger: made, found, revoked.

A key is 256 random bits, so its plain SHA-256 is as good as any slow hash, and looking the hash up
tells a guesser nothing by the time it takes. The key itself is shown once and kept nowhere.
"""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, bindparam, case, exists, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from worker.contract import KeyRecord, Scope
from worker.ledger.database import Database
from worker.ledger.refusals import NotFoundError
from worker.ledger.tables import Now, keys

MARK = "reucid_"  # what a key begins with, for whoever finds one in a file
SHOWN = len(MARK) + 6  # characters of a key that may be shown
RANDOM_BYTES = 32
NOTE_INTERVAL = 60.0  # s between two notes of a key's use

_state = case(
    (keys.c.revoked_at.is_not(None), "revoked"),
    (keys.c.expires_at <= Now(), "expired"),
    else_="valid",
).label("state")


class Keyring:
    """All keys of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        *,
        owner: str,
        scopes: Iterable[Scope],
        name: str = "",
        expires_in_s: float | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key; the key itself is the second of the pair and cannot be had again."""
        key = MARK + secrets.token_urlsafe(RANDOM_BYTES)
        row = {
            "id": uuid4().hex,
            "owner": owner,
            "name": name,
            "prefix": key[:SHOWN],
            "sha256": _digest(key),
            "scopes": sorted(set(scopes)),
            "created_at": Now(),
            "expires_at": None if expires_in_s is None else Now() + expires_in_s,
        }
        with self._database.writing() as connection:
            connection.execute(insert(keys).values(row))
        return self.key(str(row["id"])), key

    def find(self, key: str) -> KeyRecord | None:
        """What is known of a key that somebody showed, valid or not; its use is noted."""
        record = self._one(_SHOWN, {"sha256": _digest(key)})
        if record is not None and record.state == "valid":
            self._note_use(record)
        return record

    def key(self, key_id: str) -> KeyRecord:
        """A key by its id."""
        record = self._one(_all().where(keys.c.id == key_id))
        if record is None:
            raise NotFoundError(f"no key {key_id}")
        return record

    def all(self) -> list[KeyRecord]:
        """All keys, oldest first."""
        with self._database.reading() as connection:
            return [_key(row) for row in connection.execute(_all().order_by(keys.c.created_at))]

    def revoke(self, key_id: str) -> KeyRecord:
        """End a key, from now on and for good."""
        with self._database.writing() as connection:
            connection.execute(
                update(keys)
                .where(keys.c.id == key_id)
                .values(revoked_at=func.coalesce(keys.c.revoked_at, Now()))
            )
        return self.key(key_id)

    def ended(self, key_ids: Sequence[str]) -> set[str]:
        """Those of some keys that are revoked, expired or gone."""
        query = _all().where(keys.c.id.in_(key_ids))
        with self._database.reading() as connection:
            valid = {row.id for row in connection.execute(query) if row.state == "valid"}
        return set(key_ids) - valid

    def is_empty(self) -> bool:
        """Whether no key was ever made; one that ended does not open the door again."""
        with self._database.reading() as connection:
            return not connection.execute(_ANY).scalar()

    def _one(self, query: Select[Any], values: dict[str, str] | None = None) -> KeyRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(query, values).one_or_none()
            return None if row is None else _key(row)

    def _note_use(self, record: KeyRecord) -> None:
        """To the minute: a write for each request would cost a sync to disk."""
        if record.last_used_at is not None and time.time() - record.last_used_at < NOTE_INTERVAL:
            return
        with contextlib.suppress(SQLAlchemyError), self._database.writing() as connection:
            # A full disk must not keep readers out.
            connection.execute(
                update(keys).where(keys.c.id == record.id).values(last_used_at=Now())
            )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _all() -> Select[Any]:
    return select(keys, _state)


# Asked with every request, so they are made once.
_ANY = select(exists().where(keys.c.id.is_not(None)))
_SHOWN = _all().where(keys.c.sha256 == bindparam("sha256"))


def _key(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        owner=row.owner,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        state=row.state,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
