"""The commands about bundles: `reucid bundle` fetches one, `reucid verify` checks it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Overwrite
from app.commands.outputs import check_outputs

if TYPE_CHECKING:
    from worker.bundles.verdicts import Verdict

REFUTED = 1  # exit status
MOST_PROBLEMS = 12  # of a check that are printed
MARKS = {True: "ok", False: "FAILED", None: "NOT CHECKED"}

BundleFile = Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")]


def bundle(
    job: Annotated[str, typer.Argument(help="The job's id.", metavar="JOB")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The bundle: .zip, or .eln for a notebook.")
    ],
    server: Annotated[
        str, typer.Option("--server", help="The server's address.")
    ] = "http://127.0.0.1:8000",
    with_input: Annotated[
        bool, typer.Option("--input/--no-input", help="Include the input, or only its hash.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Fetch everything of a job in one file that `reucid verify` can check.

    With the key in REUCID_API_KEY if the server wants one.
    """
    from app.commands.client import Client
    from worker.settings import Settings

    check_outputs([], [], [output], overwrite=overwrite)
    with Client(server, Settings().key) as client:
        if output.suffix == ".eln":
            typer.echo(client.fetch(job, "bundle.eln", output))
        else:
            typer.echo(client.fetch(job, "bundle.zip", output, input=with_input))


def verify(
    file: BundleFile,
    image: Annotated[
        Path | None,
        typer.Option(
            "--input", help="The image that was denoised, if the bundle does not hold it."
        ),
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun/--no-rerun", help="Also denoise the input again and compare.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Recompute a bundle's result and say whether it is the same.

    Exit status 0: it is; 1: something does not hold or could not be checked; 2: not a bundle.
    """
    for path, where in ((file, "BUNDLE"), (image, "--input")):
        if path is not None and not path.is_file():
            raise typer.BadParameter(f"no file at {path}", param_hint=where)
    from worker.decoding import forkserver

    forkserver.start()  # it loads the readers while this process loads torch
    from worker.bundles import verification

    found = verification.verify(file, input_file=image, rerun=rerun)
    if as_json:
        typer.echo(json.dumps({"verified": found.verified} | asdict(found), indent=1))
    else:
        for check in found.checks:
            _print(check)
        typer.echo(f"{file}: {'verified' if found.verified else 'NOT VERIFIED'}")
    if not found.verified:
        raise typer.Exit(REFUTED)


def _print(check: "Verdict") -> None:
    typer.echo(f"{MARKS[check.holds]:<11}  {check.name}: {check.claim}")
    for name, deviation in check.deviations.items():
        tolerance = check.tolerances[name]
        typer.echo(f"{'':<11}  {name}: deviation {deviation:.3g}, tolerated {tolerance:.3g}")
    for problem in check.problems[:MOST_PROBLEMS]:
        typer.echo(f"{'':<11}  {problem}")
    if len(check.problems) > MOST_PROBLEMS:
        left = len(check.problems) - MOST_PROBLEMS
        typer.echo(f"{'':<11}  and {left} more; --json lists them all")
