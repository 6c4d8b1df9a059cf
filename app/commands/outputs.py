"""Where a command may write: refused before the work is done, not after."""

from pathlib import Path

import typer


def check_outputs(source: Path, images: list[Path], others: list[Path]) -> None:
    """Refuse what would fail after the work is done, or destroy the input."""
    from worker.formats import format_of

    if not source.is_file():
        raise typer.BadParameter(f"no file at {source}", param_hint="FILE")
    for path in images:
        format_of(path)
    resolved = [path.resolve() for path in images + others]
    if len(set(resolved)) < len(resolved):
        raise typer.BadParameter("two outputs have the same name: the last would replace the first")
    for path in images + others:
        if path.resolve() == source.resolve():
            raise typer.BadParameter(f"{path} is the input, which is never overwritten")
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"no folder {path.parent} to write {path.name} to")


def make_folder(folder: Path, option: str) -> None:
    """Make the folder that an option names, where there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {folder}: {error.strerror}"
        raise typer.BadParameter(message, param_hint=option) from error
