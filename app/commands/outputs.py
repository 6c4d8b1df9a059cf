"""Where a command may write: refused before the work is done, not after."""

import os
from collections.abc import Sequence
from pathlib import Path

import typer

OVERWRITE = "--overwrite replaces what is there"


def check_outputs(
    inputs: Sequence[Path], images: Sequence[Path], others: Sequence[Path], *, overwrite: bool
) -> None:
    """Refuse what would fail after the work is done, or destroy something.

    Parameters
    ----------
    inputs : sequence of Path
        Files that are read.
    images, others : sequence of Path
        Files to write; of images, the suffix says the format.
    overwrite : bool
        Whether what is there may be replaced; inputs never are.
    """
    from worker.formats import format_of

    outputs = [*images, *others]
    for path in images:
        format_of(path)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise typer.BadParameter("two outputs have the same name: the last would replace the first")
    for path in outputs:
        if path.resolve() in {each.resolve() for each in inputs}:
            raise typer.BadParameter(f"{path} is an input, which is never overwritten")
        _check_place(path)
    refuse_existing(outputs, overwrite=overwrite)


def _check_place(path: Path) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise typer.BadParameter(f"no folder {path.parent} to write {path.name} to")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder, expected the name of a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"the folder {path.parent} cannot be written to")


def refuse_existing(paths: Sequence[Path], *, overwrite: bool, hint: str = OVERWRITE) -> None:
    """Refuse to replace files that are there, unless that is what was asked for."""
    there = [] if overwrite else [path for path in paths if os.path.lexists(path)]
    if there:
        more = f", and {len(there) - 1} more" if len(there) > 1 else ""
        raise typer.BadParameter(f"{there[0]} is there already{more}: {hint}")


def make_folder(folder: Path, option: str) -> None:
    """Make the folder that an option names, where there is none, and see that it can be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {folder}: {error.strerror}"
        raise typer.BadParameter(message, param_hint=option) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        message = f"the folder {folder} cannot be written to"
        raise typer.BadParameter(message, param_hint=option)
