"""Opening the ledger's database: pragmas, transactions, migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

BUSY_TIMEOUT = 10.0  # s
MIGRATIONS = str(Path(__file__).parent / "migrations")


def open_engine(url: str) -> Engine:
    """An engine; for SQLite, one that loses nothing at a power cut and waits for other writers."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    database = make_url(url).database
    if database:
        Path(database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; on SQLite it has the write lock from its first statement."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


class SchemaError(Exception):
    """The database is a newer version's."""


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; several processes may do so at once."""
    found = revision(engine)
    known = {each.revision for each in ScriptDirectory(MIGRATIONS).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"got a ledger with the schema {found}, which is a newer version's; expected at most "
            f"{head()}: use that version, or restore a backup"
        )
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def head() -> str | None:
    """The schema this version of the program works with."""
    return ScriptDirectory(MIGRATIONS).get_current_head()


def revision(engine: Engine) -> str | None:
    """The schema a database has; None when it has none."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _set_pragmas(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # transactions begin where `_begin` says, not before
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
