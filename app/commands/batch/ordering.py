"""From the options of a command to what is done with every file."""

from pathlib import Path

import typer

from app.commands.batch.order import Order
from app.commands.denoising import form_of, judged
from app.commands.options import Denoising, Writing


def order_of(
    folder: Path, writing: Writing, denoising: Denoising, model: str | None, *, overwrite: bool
) -> Order:
    """What is done with every file.

    Raises
    ------
    typer.BadParameter
        When an output is a file.
    ParameterError, FormatError, ModelError
    """
    models, params = judged(denoising, model)
    stated = {
        "--output": folder,
        "--residual": writing.residual,
        "--departures": writing.departures,
        "--report": writing.report,
        "--bundle": writing.bundle,
        "--interim-dir": writing.interim_dir,
    }
    for option, place in stated.items():
        if place is not None and place.exists() and not place.is_dir():
            message = f"got the file {place}, expected a folder: of many files, each has its own"
            raise typer.BadParameter(message, param_hint=option)
    return Order(
        folder=folder,
        ending=f".{writing.format or 'tif'}",
        params=params,
        models=models,
        form=form_of(writing),
        residuals=writing.residual,
        departures=writing.departures,
        reports=writing.report,
        bundles=writing.bundle,
        interims=writing.interim_dir,
        overwrite=overwrite,
    )
