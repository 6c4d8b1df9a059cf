"""What the command line says of an error, in one line, and its exit status."""

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from reucid_client import ReucidClientError

OUR_FAULT, BAD_INPUT = 1, 2
# Typer exports only some of its exceptions, and not all versions take them from click.
USAGE_ERROR: Any = typer.BadParameter.__base__


def end(error: Exception) -> NoReturn:
    """Say on stderr what is wrong and exit; an error that nobody foresaw is raised again."""
    message, status = explain(error)
    print(f"reucid: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(status)


def explain(error: Exception) -> tuple[str, int]:
    """What to say of an error, and whose fault it is."""
    if isinstance(error, USAGE_ERROR):
        return error.format_message(), BAD_INPUT
    if isinstance(error, typer.Abort):
        return "interrupted", OUR_FAULT
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}", OUR_FAULT
    found = _of_the_work(error) or _of_a_server(error)
    if found is None:
        raise error
    return found


def _of_the_work(error: Exception) -> tuple[str, int] | None:
    from pydantic import ValidationError

    from reucid_core.errors import ModelError, ParameterError, ReucidError
    from worker.decoding.terms import DecoderError
    from worker.formats import FormatError
    from worker.zips import ArchiveError

    if isinstance(error, ValidationError):  # of the environment or of what `serve` was told
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        return f"--{name.replace('_', '-')} or REUCID_{name.upper()}: {first['msg']}", BAD_INPUT
    if isinstance(error, ModelError | DecoderError):
        return str(error), OUR_FAULT
    if isinstance(error, ParameterError):
        return f"--{error.field.replace('_', '-')}: {error.reason}", BAD_INPUT
    if isinstance(error, ReucidError | FormatError | ArchiveError):
        return str(error), BAD_INPUT
    return None


def _of_a_server(error: Exception) -> tuple[str, int] | None:
    import reucid_client

    if isinstance(error, reucid_client.ReucidClientError):
        return _of_a_client(error)
    from sqlalchemy.exc import ArgumentError

    from worker.ledger.database import UnusableLedgerError
    from worker.processes.joining import RefusedError, UnreachableError
    from worker.store import UnusableStoreError

    if isinstance(error, UnusableLedgerError | UnusableStoreError | UnreachableError):
        return str(error), OUR_FAULT
    if isinstance(error, RefusedError):
        return f"REUCID_REDIS_URL: {error}", BAD_INPUT
    if isinstance(error, ArgumentError):  # which says nothing of what it was given
        return f"REUCID_DATABASE_URL: {error}", BAD_INPUT
    return None


def _of_a_client(error: "ReucidClientError") -> tuple[str, int]:
    from app.commands.remote import BatchError, is_users_fault
    from reucid_client import JobError, ProblemError, UnreachableError

    match error:
        case UnreachableError():
            return f"{error}; is `reucid serve` running there?", OUR_FAULT
        case ProblemError():
            ours = error.status >= 500
        case JobError():
            ours = not is_users_fault(error)
        case BatchError():
            ours = error.ours
        case _:
            ours = False
    return str(error), OUR_FAULT if ours else BAD_INPUT
