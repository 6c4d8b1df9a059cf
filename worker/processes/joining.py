"""What a process finds that joins others on the ledger and the queue they share."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError, ResponseError
from sqlalchemy.exc import OperationalError

from worker.deployment import open_deployment
from worker.ledger.database import UnusableLedgerError
from worker.processes.heartbeat import beat
from worker.redis_client import open_redis
from worker.settings import Settings
from worker.store import StoreAwayError, StoreRefusedError, UnusableStoreError

PATIENCE = 30.0  # s in which ledger and queue may come up: all machines may have been switched on
AGAIN = 1.0  # s between two looks
TIMEOUT = 5.0  # s for the queue to answer

log = structlog.get_logger()


class UnreachableError(Exception):
    """What all members share does not answer; the message says what to look at."""


class RefusedError(Exception):
    """The queue is there and lets nobody in with this URL."""


def await_ledger(settings: Settings) -> None:
    """Open the ledger, which brings its schema up to date, and its store, once both answer."""
    _await(settings, _ask_ledger)


def await_queue(settings: Settings) -> None:
    """Wait for the queue to answer."""
    _await(settings, ask_queue)


def ask_queue(settings: Settings) -> None:
    """Raise `UnreachableError` or `RefusedError` when the queue cannot be used."""
    url = str(settings.redis_url)
    where = _without_password(url)
    try:
        with open_redis(url, TIMEOUT) as redis:
            redis.ping()
    except ValueError as error:
        raise RefusedError(f"got {where}: {error}") from error
    except (AuthenticationError, AuthorizationError, ResponseError) as error:
        raise RefusedError(f"the queue at {where} refuses us: {error}") from error
    except (RedisError, OSError) as error:
        raise UnreachableError(
            f"the queue at {where} does not answer: {error}; is it running, and REUCID_REDIS_URL "
            "right?"
        ) from error


def _ask_ledger(settings: Settings) -> None:
    try:
        database, _ = open_deployment(settings)
        database.close()
    except UnusableStoreError as error:
        cause = error.__cause__
        if not isinstance(cause, StoreAwayError) or isinstance(cause, StoreRefusedError):
            raise
        raise UnreachableError(str(error)) from error
    except UnusableLedgerError as error:
        if not isinstance(error.__cause__, OperationalError):
            raise
        advice = "is the database running, and REUCID_DATABASE_URL right?"
        raise UnreachableError(f"{error}; {advice}") from error


def _await(settings: Settings, ask: Callable[[Settings], None]) -> None:
    """Ask until there is an answer, for a while; say at once what is waited for."""
    end = time.monotonic() + PATIENCE
    said = False
    while True:
        beat(settings)
        try:
            ask(settings)
        except UnreachableError as error:
            if time.monotonic() > end:
                raise
            if not said:
                log.warning("waiting", reason=str(error), seconds=PATIENCE)
            said = True
            time.sleep(AGAIN)
        else:
            return


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
