"""`reucid keys`: made and revoked on the host, by whoever may write its data folder."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.contract import KeyRecord, Scope

if TYPE_CHECKING:
    from worker.ledger.database import Database
    from worker.settings import Settings

app = typer.Typer(help="Keys: who may use the server.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option(help="Folder of the ledger.")]


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Owner of everything made with the key.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="May be repeated; submit and read if left out.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_days: Annotated[
        float | None, typer.Option(help="Days until it ends; never if left out.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key. It alone goes to standard output, this once."""
    from app.api.schemas import KeySpec
    from app.commands.progress import console
    from worker.ledger.keys import Keyring
    from worker.settings import DAY, LEDGER

    scopes = set(scope or (Scope.SUBMIT, Scope.READ))
    spec = KeySpec(owner=owner, scopes=list(scopes), name=name, expires_days=expires_days)
    settings = _settings(data_dir)
    found = settings.database_url is not None or (settings.data_dir / LEDGER).exists()
    with closing(_database(data_dir)) as database:
        where = database.engine.url.render_as_string(hide_password=True)
        record, key = Keyring(database).create(
            owner=spec.owner,
            scopes=spec.scopes,
            name=spec.name,
            expires_in_s=expires_days * DAY if expires_days else None,
        )
    console.print(
        f"key {record.id} of {record.owner}: {', '.join(sorted(record.scopes))}; "
        f"ends {_day(record.expires_at)}; it is not kept here and cannot be shown again",
        highlight=False,
    )
    console.print(_of_ledger(where, found), highlight=False, markup=False, soft_wrap=True)
    typer.echo(key)


@app.command("list")
def list_(data_dir: DataDir = None) -> None:
    """Show all keys, without themselves."""
    from worker.ledger.keys import Keyring

    with closing(_database(data_dir)) as database:
        records = Keyring(database).all()
    if not records:
        typer.echo("no keys: the server serves this machine alone, without one")
        return
    for record in records:
        typer.echo(_line(record))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `list` shows.")],
    data_dir: DataDir = None,
) -> None:
    """End a key at once."""
    from worker.ledger.keys import Keyring
    from worker.ledger.refusals import NotFoundError

    with closing(_database(data_dir)) as database:
        try:
            record = Keyring(database).revoke(key_id)
        except NotFoundError as error:
            raise typer.BadParameter(f"{error}; see `reucid keys list`") from error
    typer.echo(_line(record))


def _database(data_dir: Path | None) -> "Database":
    from worker.ledger.database import open_database

    return open_database(_settings(data_dir))


def _settings(data_dir: Path | None) -> "Settings":
    from worker.settings import Settings

    stated: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    return Settings(**stated)


def _of_ledger(where: str, found: bool) -> str:
    """In which ledger a key is, because no other server knows it."""
    if found:
        return f"it is in the ledger {where}"
    return (
        f"there was no ledger, so a new one was made: {where}; a server of another folder does not "
        "know the key: state that folder by --data-dir or REUCID_DATA_DIR"
    )


def _line(record: KeyRecord) -> str:
    return "  ".join(
        (
            record.id,
            f"{record.prefix}...",
            record.state,
            record.owner,
            ",".join(sorted(record.scopes)),
            f"ends {_day(record.expires_at)}",
            f"used {_day(record.last_used_at)}",
            record.name,
        )
    ).rstrip()


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}Z"
