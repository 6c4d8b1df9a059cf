"""The command line: `reucid serve | inspect | denoise | watch | submit | ...`.

Exit status 0: done; 2: bad input or usage; 1: a fault of ours.
"""

import atexit
import gc
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands import (
    bundles,
    comparison,
    denoising,
    inspection,
    keys,
    laboratory,
    live,
    reproduction,
    submission,
    survey,
    watching,
)
from app.commands.exits import end
from app.commands.options import Member, Overwrite

app = typer.Typer(
    name="reucid",
    help="Eigenpatch denoising of low-dose STEM/HAADF micrographs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(keys.app, name="keys")
app.add_typer(survey.app, name="survey")
app.add_typer(live.app, name="live")
for command in (
    *(laboratory.train, laboratory.tune, laboratory.evaluate, reproduction.reproduce),
    *(
        denoising.denoise,
        watching.watch,
        inspection.inspect,
        inspection.residual,
        comparison.compare,
    ),
    *(submission.submit, bundles.bundle, bundles.verify, bundles.revise),
):
    app.command()(command)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; other than loopback needs a key.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the ledger and the results.")
    ] = None,
) -> None:
    """Run the server: queue, API, dispatcher and workers, in one group, until SIGTERM or Ctrl-C."""
    from app.commands.serve import serve as run

    stated = {"host": host, "port": port, "workers": workers, "data_dir": data_dir}
    run({name: value for name, value in stated.items() if value is not None})


@app.command()
def api(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; other than loopback needs a key.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
) -> None:
    """Run one API process of a server on several machines, until SIGTERM or Ctrl-C.

    It shares REUCID_REDIS_URL, REUCID_DATABASE_URL and REUCID_DATA_DIR with all other members
    (docs/deployment.md). Told to stop, it lets event streams and long polls go at once, ends the
    requests it has begun within five seconds, and takes no new ones.
    """
    from app.commands.members import api as run

    stated = {"host": host, "port": port}
    run({name: value for name, value in stated.items() if value is not None})


@app.command()
def dispatch() -> None:
    """Run one dispatcher of a server on several machines, until SIGTERM or Ctrl-C.

    It feeds the queue, gives lost jobs to others, removes what has expired and delivers webhooks;
    any number may run. It shares REUCID_REDIS_URL, REUCID_DATABASE_URL and REUCID_DATA_DIR with all
    other members (docs/deployment.md).
    """
    from app.commands.members import dispatch as run

    run({})


@app.command()
def work(
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of this worker (BLAS, FFT, torch).")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Serve live sessions, one at a time, instead of jobs.")
    ] = False,
) -> None:
    """Run one worker of a server on several machines, until SIGTERM or Ctrl-C.

    It shares REUCID_REDIS_URL, REUCID_DATABASE_URL and REUCID_DATA_DIR with all other members
    (docs/deployment.md). Told to stop, it takes no new job; that which it is at has
    REUCID_STOP_GRACE_S to end and then goes back to the queue, which counts as no attempt.
    """
    from app.commands.members import work as run

    run({} if threads is None else {"threads": threads}, live=live)


@app.command()
def healthy(
    member: Annotated[Member, typer.Argument(help="Which member of this machine.")],
) -> None:
    """Say whether a member of this machine is well; exit status 1 if it is not.

    The API is asked for /livez; a dispatcher or worker by the age of its REUCID_HEARTBEAT_FILE.
    None of them is unwell because ledger or queue are away: a new start would not mend that.
    """
    from app.commands.health import healthy as ask

    fault = ask(member)
    typer.echo(fault or "well")
    raise typer.Exit(1 if fault else 0)


@app.command()
def doctor(
    url: Annotated[
        str | None, typer.Option("--url", help="Also ask a running server, as a client sees it.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the ledger and the results.")
    ] = None,
) -> None:
    """Check this machine's deployment and say what is wrong; exit status 1 if anything is."""
    from app.commands.doctor import doctor as examine
    from worker.settings import Settings

    stated: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    raise typer.Exit(examine(Settings(**stated), url))


@app.command()
def demo(
    output_dir: Annotated[
        Path, typer.Option("-o", "--output-dir", help="Folder for everything the demo makes.")
    ] = Path("demo-output"),
    overwrite: Overwrite = False,
) -> None:
    """Denoise the bundled low-dose micrograph through a server of its own."""
    from app.commands.demo import run

    run(output_dir, overwrite=overwrite)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reucid {version('reucid')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; every error is one line on stderr and an exit status."""
    # At exit Python looks for cycles in all that was loaded, for a third of the time that loading
    # torch takes, and the process ends anyway.
    atexit.register(gc.freeze)
    try:
        status = app(standalone_mode=False)
    except Exception as error:
        end(error)
    sys.exit(status if isinstance(status, int) else 0)
