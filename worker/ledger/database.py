"""Opening the ledger's database: who may write when, what is read together, migrations.

The ledger's promises rest on one writer at a time: SQLite has no other way, PostgreSQL is held to
it by an advisory lock. So jobs are visible in the order of their numbers (a reader that resumes
after one misses none), and what a transaction has counted stays true until it ends. Attempts share
the lock: each changes a job of its own, whose row keeps its events in order, and counts nothing.
Signs of life need no turn at all.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from worker.ledger import mounts
from worker.ledger.tables import Now, jobs
from worker.settings import Settings

MIGRATIONS = str(Path(__file__).parent / "migrations")
BUSY_TIMEOUT = 10.0  # s a transaction waits for another writer
STUCK_TIMEOUT = 5.0  # s after which PostgreSQL ends a transaction whose process says nothing
CONNECT_TIMEOUT = 5  # s
# How long either end of a connection waits for the other one's network before it gives the
# connection up; libpq's names, which the server knows as well. Shorter than a lease by default, so
# that whoever is cut off is missed by nobody else first.
LINK: dict[str, int] = {
    "keepalives_idle": 4,  # s
    "keepalives_interval": 2,  # s
    "keepalives_count": 2,
    "tcp_user_timeout": 8000,  # ms that what was sent may go unacknowledged
}
MOST_FAULTS = 3  # that are told of
# As many connections as are of use while few write at once; who finds none waits for one.
POOL: dict[str, Any] = {"pool_size": 16, "max_overflow": 0, "pool_timeout": BUSY_TIMEOUT}
CACHE = 256  # KiB of pages that an SQLite connection keeps in memory; 2 MiB by default
NO_TEXT = "Could not decode to UTF-8"  # sqlite3 gives this no code
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, "XX001", "XX002")
WRITER_LOCK = int.from_bytes(b"reucid")  # of PostgreSQL's advisory locks

# A reading transaction sees one moment of the ledger; SQLite's does so by itself.
READING: dict[str, dict[str, Any]] = {
    "sqlite": {},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}

log = structlog.get_logger()


class UnusableLedgerError(Exception):
    """The database cannot hold the ledger; the message says what to do."""


class DamagedLedgerError(SQLAlchemyError):
    """A row of the ledger holds what nobody has written."""


class Database:
    """The database that holds the ledger.

    Parameters
    ----------
    url : str
        SQLAlchemy's; the schema must be up to date, see `Database.open`.
    """

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)

    @classmethod
    def open(cls, url: str, *, on_network: bool = False) -> "Database":
        """Open a ledger's database, its schema brought up to date first.

        `on_network` allows SQLite on a network filesystem.
        """
        if not on_network:
            check_place(url)
        database = cls(url)
        try:
            migrate(database.engine)
        except Exception:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close all connections; they open again when needed."""
        self.engine.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads, all of it at the same moment."""
        return reading(self.engine)

    def writing(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """A transaction that writes; it is the only one from its first statement.

        What is not `durable` may be lost when PostgreSQL crashes, until something durable has been
        written after it, and others need not wait for the disk meanwhile. It writes no event, whose
        number would be given once more. SQLite keeps it, too.
        """
        return writing(self.engine, durable=durable)

    def fenced(self) -> AbstractContextManager[Connection]:
        """A transaction of one attempt, beside those of others; it changes its job's row first.

        Nobody else changes that row until it ends, so a job's events are visible in their order,
        and whoever `writing` has the ledger to itself all the same.
        """
        return writing(self.engine, beside=True)

    def noting(self) -> AbstractContextManager[Connection]:
        """Signs of life: statements that stand for themselves and wait for nobody's turn."""
        return noting(self.engine)

    def ping(self) -> None:
        """Raise SQLAlchemy's error when the database cannot be read."""
        with self.reading() as connection:
            connection.execute(select(func.max(jobs.c.serial)))

    def faults(self) -> list[str]:
        """What SQLite finds wrong with its file, a few lines of it; PostgreSQL looks itself."""
        if self.engine.dialect.name != "sqlite":
            return []
        with self.reading() as connection:
            found = connection.exec_driver_sql(f"PRAGMA quick_check({MOST_FAULTS})").scalars()
            return [each for each in found if each != "ok"]

    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        pool = cast("QueuePool", self.engine.pool)
        return pool.checkedout(), pool.size()

    def now(self) -> float:
        """Seconds since the epoch by the database's clock."""
        with self.reading() as connection:
            return float(connection.execute(select(Now())).scalar_one())

    def clock_offset(self) -> float:
        """Seconds by which the database's clock is ahead of this machine's."""
        return self.now() - time.time()


def open_database(settings: Settings) -> Database:
    """The ledger's database of a server with these settings."""
    return Database.open(settings.ledger_url, on_network=settings.ledger_on_network)


@contextmanager
def ledger_may_be_away() -> Iterator[None]:
    """Go on when the database does not answer: what was to be done will be tried again."""
    try:
        yield
    except SQLAlchemyError as error:
        log.warning("ledger_away", error=type(error).__name__, detail=str(error)[:200])


def open_engine(url: str) -> Engine:
    """An engine that loses nothing at a power cut and waits for other writers."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed)
        case "postgresql":
            return _open_postgresql(parsed)
        case other:
            raise UnusableLedgerError(
                f"got a ledger of kind {other!r}, expected sqlite:///... or "
                "postgresql+psycopg://..."
            )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, all of it at the same moment."""
    options = READING[engine.dialect.name]
    with engine.connect().execution_options(**options) as connection, connection.begin():
        try:
            yield connection
        except ValueError as error:  # no JSON, no UTF-8, no state of a job: a damaged page
            raise DamagedLedgerError(f"a row cannot be read: {error}") from error


@contextmanager
def writing(engine: Engine, *, durable: bool = True, beside: bool = False) -> Iterator[Connection]:
    """A transaction that writes; the only one that does, or `beside` others that may be."""
    options = {"writes": True, "durable": durable, "beside": beside}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def noting(engine: Engine) -> Iterator[Connection]:
    """Signs of life: statements that stand for themselves and wait for nobody's turn.

    They give no numbers, on whose order readers rely, so PostgreSQL needs no writer's lock for
    them. Who is far away, for whom a transaction is many slow answers, would lose its lease while
    it waits for the lock or, worse, have all others wait for it.
    """
    if engine.dialect.name == "sqlite":
        with writing(engine) as connection:
            yield connection
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection


def check_place(url: str) -> None:
    """Raise UnusableLedgerError for an SQLite file where other machines may hold it, too."""
    database = make_url(url).database
    if make_url(url).get_backend_name() != "sqlite" or not database:
        return
    kind = mounts.filesystem_of(Path(database))
    if kind in mounts.NETWORK:
        raise UnusableLedgerError(
            f"got the ledger {database} on a network filesystem ({kind}), where SQLite's locks "
            "and log are not safe: set REUCID_DATA_DIR or REUCID_DATABASE_URL to a local disk, use "
            "PostgreSQL, or, if only this machine ever opens it, set "
            "REUCID_LEDGER_ON_NETWORK=true"
        )


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; several processes may do so at once."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    try:
        with writing(engine) as connection:
            _refuse_newer(connection, ScriptDirectory.from_config(config))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DatabaseError as error:
        if not (isinstance(error, OperationalError) or is_damaged(error)):
            raise
        shown = engine.url.render_as_string(hide_password=True)
        raise UnusableLedgerError(f"cannot open the ledger at {shown}: {error.orig}") from error


def is_full(error: SQLAlchemyError) -> bool:
    """Whether the database had no space left to write."""
    return _code(error) in (sqlite3.SQLITE_FULL, "53100")


def is_damaged(error: SQLAlchemyError) -> bool:
    """Whether the database holds what nobody has written."""
    said = str(getattr(error, "orig", ""))
    return (
        isinstance(error, DamagedLedgerError) or _code(error) in DAMAGED or said.startswith(NO_TEXT)
    )


def _code(error: SQLAlchemyError) -> int | str | None:
    """SQLite's primary result code, or PostgreSQL's SQLSTATE."""
    orig = getattr(error, "orig", None)
    extended = getattr(orig, "sqlite_errorcode", None)
    return getattr(orig, "sqlstate", None) if extended is None else extended & 0xFF


def _refuse_newer(connection: Connection, known: ScriptDirectory) -> None:
    revisions = {script.revision for script in known.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in revisions:
            raise UnusableLedgerError(
                f"got a ledger of revision {revision}, expected at most "
                f"{known.get_current_head()}: it was upgraded by a newer REUCID; install that "
                "version, or restore the backup made before the upgrade"
            )


def _open_sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT}, **POOL)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def head() -> str | None:
    """The schema this version of the program works with."""
    return ScriptDirectory(MIGRATIONS).get_current_head()


def revision(engine: Engine) -> str | None:
    """The schema a database has; None when it has none."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _set_pragmas(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # transactions begin where we say, not before
    # A small cache of each connection's own: every write by another one empties it anyway.
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{CACHE}")
    for pragma in pragmas:
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_postgresql(url: URL) -> Engine:
    link = {name: url.query.get(name, value) for name, value in LINK.items()}
    options = [
        *(f"-c tcp_{name.removeprefix('tcp_')}={value}" for name, value in link.items()),
        str(url.query.get("options", "")),
        f"-c lock_timeout={1000 * BUSY_TIMEOUT:.0f}",
        f"-c idle_in_transaction_session_timeout={1000 * STUCK_TIMEOUT:.0f}",
    ]
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            **POOL,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT,
                **link,
                "client_encoding": "utf8",  # text comes as bytes from a cluster that has none
                "options": " ".join(options),
            },
        )
    except ModuleNotFoundError as error:
        raise UnusableLedgerError(
            "a ledger in PostgreSQL needs its driver: pip install 'reucid[postgres]'"
        ) from error
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("writes", False):
        lock = "lock_shared" if options.get("beside", False) else "lock"
        asked = [f"pg_advisory_xact_{lock}({WRITER_LOCK})"]
        if not options.get("durable", True):
            asked.append("set_config('synchronous_commit', 'off', true)")
        connection.exec_driver_sql(f"SELECT {', '.join(asked)}")
