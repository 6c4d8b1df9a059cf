"""`reucid serve`: the whole server in one supervised group of processes."""

import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import structlog
import typer

from app.api.auth import is_loopback
from app.commands import locks
from worker import logs
from worker.denoising.model_files import Models
from worker.ledger.database import open_database
from worker.ledger.keys import Keyring
from worker.processes.supervisor import Supervisor
from worker.settings import Settings

BACKLOG = 128  # connections waiting to be accepted
LOCK = "serve.lock"  # in the data folder

log = structlog.get_logger()


def serve(stated: dict[str, Any]) -> None:
    """Run until told to stop; what is stated goes before the environment."""
    settings = Settings(**stated)
    logs.configure(as_json=settings.log_json, level=settings.log_level)
    Models.of(settings).check()
    with hold(settings.data_dir):
        listener = listen(settings)
        host, port = listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        command = [sys.executable, "-m", "app.api", str(listener.fileno())]

        def announce() -> None:
            typer.echo(f"REUCID is at http://{host}:{port} (documentation: /docs); Ctrl-C stops it")

        # The supervisor holds the socket, so a restarted API loses no connection that waits.
        Supervisor(settings, command, [listener.fileno()]).run(announce)


def hold(folder: Path) -> BinaryIO:
    """Have a data folder alone for as long as the file is open; the kernel sees to the rest.

    Raises
    ------
    typer.BadParameter
        When another server has it.
    """

    def unprotected(error: OSError) -> None:
        log.warning("no_lock", folder=str(folder), error=str(error))

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return locks.hold(folder / LOCK, unprotected)
    except locks.HeldError as error:
        message = (
            f"another `reucid serve` ({error}) works in {folder}: stop it, or state another folder "
            "here or in REUCID_DATA_DIR"
        )
        raise typer.BadParameter(message, param_hint="--data-dir") from error


def listen(settings: Settings) -> socket.socket:
    """The listening socket of an API, which a process may inherit.

    Raises
    ------
    typer.BadParameter
        When others may not reach the server yet, or nobody can listen there.
    """
    listener = bound(settings)
    listener.listen(BACKLOG)
    return listener


def bound(settings: Settings) -> socket.socket:
    """The same before it listens: who connects is refused, and goes to another API.

    Raises
    ------
    typer.BadParameter
        As `listen`.
    """
    if not is_loopback(settings.host) and not _has_valid_key(settings):
        raise typer.BadParameter(
            f"got {settings.host}, expected a loopback address such as 127.0.0.1: there is no "
            "valid key, so nobody else may reach the server; make one with `reucid keys create`",
            param_hint="--host",
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Connections inherit it. uvicorn takes a descriptor for a Unix socket and does not set it,
        # and an answer in two parts then waits 40 ms for the client's delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        listener.close()
        message = f"cannot listen on {settings.host}:{settings.port}: {error}"
        raise typer.BadParameter(message, param_hint="--port") from error
    listener.set_inheritable(True)
    return listener


def _has_valid_key(settings: Settings) -> bool:
    with closing(open_database(settings)) as database:
        return any(key.state == "valid" for key in Keyring(database).all())
