"""Ledger and store of one server, opened together: they carry one identity.

The ledger makes the identity, and takes the first store that it is opened with for its own. From
then on another store is refused: one that is empty, such as a folder of its own on a second
machine, where no job would find its input, or that of another ledger, whose sweeper would remove
what it does not know.
"""

from worker.ledger.database import Database, open_database
from worker.ledger.identity import Identity
from worker.settings import Settings
from worker.store import Store, StoreAwayError, UnusableStoreError
from worker.store.names import IDENTITY
from worker.store.opening import open_store

POINT = "point REUCID_STORE_URL (or REUCID_DATA_DIR) and REUCID_DATABASE_URL to the same server"


def open_deployment(settings: Settings) -> tuple[Database, Store]:
    """Ledger and store of a server with these settings.

    Raises
    ------
    UnusableLedgerError
    UnusableStoreError
        When the store cannot be used, or is not the ledger's.
    """
    database = open_database(settings)
    try:
        return database, store_of(database, settings)
    except Exception:
        database.close()
        raise


def store_of(database: Database, settings: Settings) -> Store:
    """The store of a ledger.

    Raises
    ------
    UnusableStoreError
        When it cannot be used, or is not this ledger's.
    """
    try:
        store = open_store(settings)
        store.ping()
        check_identity(database, store)
    except StoreAwayError as error:
        raise UnusableStoreError(f"cannot use the store: {error}") from error
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise UnusableStoreError(f"cannot use the store: {said}: {error.filename or ''}") from error
    return store


def check_identity(database: Database, store: Store) -> None:
    """Refuse a store that is not the ledger's; one that is nobody's becomes so at the first start.

    Raises
    ------
    UnusableStoreError
    """
    ledger = Identity(database)
    ours, has_store = ledger.get()
    theirs = store.identity()
    if theirs is None and not has_store:
        folder = ledger.newest_folder()
        if folder is not None and not store.has_image(folder):
            raise UnusableStoreError(
                f"{store.address} does not hold what the ledger knows (images/{folder}): {POINT}"
            )
        theirs = store.take(ours)
    if theirs is None:
        raise UnusableStoreError(
            f"{store.address} is not the store of this ledger, it is nobody's yet: {POINT}. Is it "
            f"a copy of the ledger's store, put the text {ours} into `{IDENTITY}` there"
        )
    if theirs != ours:
        raise UnusableStoreError(
            f"{store.address} belongs to another ledger: got the identity {theirs}, expected "
            f"{ours}: {POINT}; a second server needs a folder, bucket or prefix of its own"
        )
    if not has_store:
        ledger.has_store()
