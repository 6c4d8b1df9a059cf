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
    reproduction,
    submission,
    survey,
    watching,
)
from app.commands.exits import end
from app.commands.options import Overwrite

app = typer.Typer(
    name="reucid",
    help="Eigenpatch denoising of low-dose STEM/HAADF micrographs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(keys.app, name="keys")
app.add_typer(survey.app, name="survey")
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
