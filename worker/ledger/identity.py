"""Who this ledger is, so that a store can be told to be its own."""

from uuid import uuid4

from sqlalchemy import insert, select, update

from worker.ledger.database import Database
from worker.ledger.images import folder_in
from worker.ledger.tables import identity, images


class Identity:
    """The identity of a ledger, made when it is first asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self) -> tuple[str, bool] | None:
        """The same, or None when nobody has asked for it yet."""
        with self._database.reading() as connection:
            row = connection.execute(select(identity)).one_or_none()
        return None if row is None else (row.id, bool(row.has_store))

    def get(self) -> tuple[str, bool]:
        """The identity, and whether a store was found that carries it, too."""
        if (known := self.known()) is not None:
            return known
        with self._database.writing() as connection:  # one at a time: others find it made
            if connection.execute(select(identity.c.id)).first() is None:
                connection.execute(insert(identity).values(id=uuid4().hex, has_store=False))
        return self.get()

    def has_store(self) -> None:
        """Note that a store carries it."""
        with self._database.writing() as connection:
            connection.execute(update(identity).values(has_store=True))

    def newest_folder(self) -> str | None:
        """A folder that the ledger's store must have, if the ledger knows of any files."""
        newest = (
            select(images.c.id, images.c.info)
            .where(images.c.purged.is_(False))
            .order_by(images.c.created_at.desc(), images.c.id)
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else folder_in(row.info, row.id)
