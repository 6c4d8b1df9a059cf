"""`reucid denoise`: an image, a stack, or many of them, here, without a server."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.grouped import grouped
from app.commands.options import (
    READABLE,
    Denoising,
    ModelOption,
    Overwrite,
    Writing,
)
from app.commands.outputs import check_outputs, make_folder, refuse_existing

if TYPE_CHECKING:
    from worker.denoising.model_files import Models
    from worker.denoising.params import JobParams
    from worker.local.targets import Form, Targets

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", min=1, help="Of many files, so many at a time; one for each core."
    ),
]


@grouped
def denoise(
    files: Annotated[
        list[Path],
        typer.Argument(
            help=f"{READABLE}; several, or a folder of them, are denoised into a folder.",
            metavar="FILE",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|FOLDER",
            help="The denoised image: .tif, .mrc, .hspy, .npy or .png. Or a folder: its name ends "
            "in / or has no suffix, or it is there.",
        ),
    ],
    writing: Writing,
    denoising: Denoising,
    model: ModelOption = None,
    overwrite: Overwrite = False,
    jobs: Jobs = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Of many files, leave out those that are done."),
    ] = False,
) -> None:
    """Denoise images or stacks here, without a server.

    Several files, or a folder, are denoised into a folder, with a summary.csv. Exit status 2 if any
    of them failed.
    """
    many = len(files) > 1 or files[0].is_dir() or is_folder(output)
    if many:
        from app.commands.batch import ordering, running

        order = ordering.order_of(Path(output), writing, denoising, model, overwrite=overwrite)
        raise typer.Exit(running.run(files, order, jobs=jobs or cores(), resume=resume))
    for name, stated in (("--jobs", jobs), ("--resume", resume), ("--format", writing.format)):
        if stated:
            message = f"is for many files, and {output} is one: end its name in / for a folder"
            raise typer.BadParameter(message, param_hint=name)
    _denoise_one(files[0], Path(output), writing, denoising, model, overwrite=overwrite)


def is_folder(output: str) -> bool:
    """Whether an output is meant to be a folder."""
    return output.endswith(os.sep) or Path(output).is_dir() or not Path(output).suffix


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def _denoise_one(
    file: Path,
    output: Path,
    writing: Writing,
    denoising: Denoising,
    model: str | None,
    *,
    overwrite: bool,
) -> None:
    from worker.local.targets import Targets

    targets = Targets(
        output,
        residual=writing.residual,
        departures=writing.departures,
        report=writing.report,
        bundle=writing.bundle,
        interims=writing.interim_dir,
    )
    form = form_of(writing)
    _check(file, targets, overwrite=overwrite)

    from worker.decoding import forkserver

    forkserver.start()  # it loads the readers while this process loads torch
    models, params = judged(denoising, model)
    _denoise(file, targets, form, models, params)


def _check(file: Path, targets: "Targets", *, overwrite: bool) -> None:
    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    others = [path for path in targets.files if path not in targets.images]
    check_outputs([file], targets.images, others, overwrite=overwrite)
    if targets.interims is not None:
        make_folder(targets.interims, "--interim-dir")
        refuse_existing(sorted(targets.interims.glob("interim-*.tif")), overwrite=overwrite)


def _denoise(
    file: Path, targets: "Targets", form: "Form", models: "Models", params: "JobParams"
) -> None:
    """With a progress bar, warnings on standard error and what came of it on standard output."""
    from tempfile import TemporaryDirectory

    from app.commands.listing import assessed, summary
    from app.commands.progress import console, steps_bar
    from worker.denoising.model_loading import judge_of
    from worker.denoising.run import Step
    from worker.formats.text import printable
    from worker.local.decoding import decode
    from worker.local.outputs import denoise_to
    from worker.settings import Settings

    classify = judge_of(models, params)
    with steps_bar() as bar, TemporaryDirectory(prefix="reucid-") as folder:
        task = bar.add_task(printable(file.name), total=None, what="")

        def on_step(step: Step) -> None:
            bar.update(task, completed=step.n, total=step.of, what=step.what)

        decoded = decode(file, Path(folder), Settings())
        denoised = denoise_to(targets, form, decoded, params, classify, on_step)
    for warning in denoised.report["warnings"]:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
    typer.echo(f"{printable(str(targets.result))}: {summary(denoised.report)}")
    for sentence in assessed(denoised.report):
        typer.echo(sentence)
    if form.source:
        size, dtype = denoised.image.size, denoised.info.dtype
        typer.echo(f"{denoised.clipped} of {size} pixels clipped to {dtype}")


def form_of(writing: Writing) -> "Form":
    """How images are written.

    Raises
    ------
    FormatError
    """
    from worker.formats import Look, parse_percentiles
    from worker.local.targets import Form

    look = Look(parse_percentiles(writing.percentiles), writing.colormap, writing.scalebar)
    return Form(writing.dtype == "source", look)


def judged(denoising: Denoising, model: str | None) -> "tuple[Models, JobParams]":
    """The classifiers to choose from, and the parameters of the work.

    Raises
    ------
    ParameterError
    """
    from worker.denoising.params import JobParams

    models, name = _models(model)
    return models, JobParams.from_json(denoising.parameters() | {"model": name})


def _models(model: str | None) -> "tuple[Models, str | None]":
    """The classifiers, and the name of the one that was stated, as name or file."""
    from reucid_core.errors import ModelError
    from worker.denoising.model_files import SUFFIX, Models, describe
    from worker.settings import Settings

    models = Models.of(Settings())
    if model is None:
        return models, None
    if "/" not in model and not model.endswith(SUFFIX):
        models.expect(model)
        return models, model
    try:
        return Models(stated=Path(model)), describe(Path(model)).name
    except ModelError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from error
