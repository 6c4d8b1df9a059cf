"""What is said of a file as soon as it is done."""

import typer

from app.commands.batch.rows import Row
from app.commands.progress import console


def tell_error(row: Row) -> None:
    """Say what is wrong with a file, on standard error."""
    cells = row.cells()
    console.print(f"{cells['file']}: {cells['error']}", style="red", highlight=False, markup=False)


def tell_result(row: Row) -> None:
    """Say what came of a file."""
    cells = row.cells()
    typer.echo(
        f"{cells['file']} -> {cells['result']}: patch size {cells['patch size']} px, kept "
        f"{cells['kept']} eigenpatches, {cells['seconds']} s"
    )
    for warning in row.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
