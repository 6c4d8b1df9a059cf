"""The commands about bundles: `bundle` fetches one, `verify` checks it, `revise` goes on."""

import json
import re
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

VERDICTS = re.compile("([0-9]{1,6}):([0-9]{1,6}(?:,[0-9]{1,6})*)")

VerdictsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="STACK:K,...", help="Eigenpatches; may be repeated."),
]
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
    from app.commands.remote import connected

    check_outputs([], [], [output], overwrite=overwrite)
    with connected(server) as client:
        if output.suffix == ".eln":
            typer.echo(client.download(job, output, "bundle.eln"))
        else:
            typer.echo(client.download(job, output, "bundle.zip", input=with_input))


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


def revise(
    file: BundleFile,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="A new bundle: .zip; or the image alone: .tif, .mrc, .hspy, .npy or .png.",
        ),
    ],
    keep: VerdictsOption = None,
    drop: VerdictsOption = None,
    frame: Annotated[
        int, typer.Option("--frame", metavar="N", min=0, help="Of a stack, from 0.")
    ] = 0,
    image: Annotated[
        Path | None,
        typer.Option(
            "--input", help="The image that was denoised, if the bundle does not hold it."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Also write the classification report (JSON).")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a bundle's result anew with other eigenpatches, without decomposing its input again.

    Eigenpatches are named as in the report and the montage: STACK:K,K,... both from 1.
    """
    from app.commands.outputs import check_outputs

    is_bundle = output.suffix == ".zip"
    images, others = ([], [output]) if is_bundle else ([output], [])
    inputs = [path for path in (file, image) if path is not None]
    for path, where in ((file, "BUNDLE"), (image, "--input")):
        if path is not None and not path.is_file():
            raise typer.BadParameter(f"no file at {path}", param_hint=where)
    others += [] if report is None else [report]
    check_outputs(inputs, images, others, overwrite=overwrite)
    from worker.decoding import forkserver

    forkserver.start()  # it loads the readers while this process loads torch
    from app.commands.listing import assessed, summary
    from reucid_core.revision import Verdicts
    from worker.denoising.revision import Revision
    from worker.local.reading import write
    from worker.local.revising import revise_bundle

    verdicts = Verdicts(_by_stack(keep, "--keep"), _by_stack(drop, "--drop"))
    revised = revise_bundle(
        file,
        Revision(None, verdicts, frame),
        input_file=image,
        bundle_at=output if is_bundle else None,
    )
    if not is_bundle:
        write(output, revised.image, revised.info)
    if report is not None:
        report.write_text(json.dumps(revised.report, indent=1))
    for warning in revised.report["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{output}: {summary(revised.report)}")
    for sentence in assessed(revised.report):
        typer.echo(sentence)


def _by_stack(stated: list[str] | None, option: str) -> dict[int, list[int]]:
    """Eigenpatches by the number of their stack."""
    found: dict[int, list[int]] = {}
    for each in stated or []:
        match = VERDICTS.fullmatch(each)
        if match is None:
            message = f"got {each!r}, expected STACK:K,K,..., as in 1:3,5"
            raise typer.BadParameter(message, param_hint=option)
        found.setdefault(int(match[1]), []).extend(map(int, match[2].split(",")))
    return found


def _print(check: "Verdict") -> None:
    typer.echo(f"{MARKS[check.holds]:<11}  {check.name}: {check.claim}")
    for name, deviation in check.deviations.items():
        tolerance = check.tolerances[name]
        typer.echo(f"{'':<11}  {name}: deviation {deviation:.3g}, tolerated {tolerance:.3g}")
    for remark in check.remarks:
        typer.echo(f"{'':<11}  {remark}")
    for problem in check.problems[:MOST_PROBLEMS]:
        typer.echo(f"{'':<11}  {problem}")
    if len(check.problems) > MOST_PROBLEMS:
        left = len(check.problems) - MOST_PROBLEMS
        typer.echo(f"{'':<11}  and {left} more; --json lists them all")
