"""`reucid api`, `dispatch`, `work`, `live work`: a process of a server whose parts run anywhere.

Each looks at what all of them share, says in words what is wrong with it, and then becomes the very
process that `reucid serve` would have started.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import structlog
import typer

from app.commands.serve import bound
from worker import logs
from worker.denoising.model_files import Models
from worker.processes.joining import UnreachableError, ask_queue, await_ledger, await_queue
from worker.settings import Settings

log = structlog.get_logger()


def api(stated: dict[str, Any]) -> NoReturn:
    """Answer HTTP until told to stop."""
    settings = _settings(stated)
    Models.of(settings).check()
    await_ledger(settings)
    try:  # jobs are accepted without it and wait, so it is no reason not to start
        ask_queue(settings)
    except UnreachableError as error:
        log.warning("queue_away", reason=str(error))
    listener = bound(settings)
    log.info("starting", address=settings.host, port=listener.getsockname()[1])
    _become(settings, "app.api", str(listener.detach()))


def dispatch(stated: dict[str, Any]) -> NoReturn:
    """Dispatch, sweep and deliver until told to stop."""
    settings = _settings(stated)
    await_ledger(settings)
    await_queue(settings)
    _become(settings, "worker", "dispatch")


def work(stated: dict[str, Any], *, live: bool = False) -> NoReturn:
    """Make jobs, or serve live sessions, until told to stop."""
    settings = _settings(stated)
    Models.of(settings).check()
    await_ledger(settings)
    await_queue(settings)
    _become(settings, "worker", "live" if live else "work")


def live(stated: dict[str, Any]) -> NoReturn:
    """Serve live sessions until told to stop."""
    settings = _settings(stated)
    await_ledger(settings)
    await_queue(settings)
    _become(settings, "worker", "live")


def _settings(stated: dict[str, Any]) -> Settings:
    """The settings, if there is a queue among them; from now on SIGTERM is heeded at once."""
    signal.signal(signal.SIGTERM, _stop)  # the first process of a container would not heed it
    settings = Settings(**stated)
    logs.configure(as_json=settings.log_json, level=settings.log_level)
    if settings.redis_url is None:
        raise typer.BadParameter(
            "REUCID_REDIS_URL is not set, expected the queue that all members share, such as "
            "redis://queue.example.org:6379; `reucid serve` brings one of its own"
        )
    return settings


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _become(settings: Settings, *module: str) -> NoReturn:
    """Be another process from now on, with these settings, under the same process id."""
    environment = os.environ | settings.as_environment()
    os.execve(sys.executable, [sys.executable, "-m", *module], environment)  # noqa: S606
