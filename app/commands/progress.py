"""Progress bars, on standard error, where a person waits."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worker.formats.text import printable

if TYPE_CHECKING:
    from app.commands.client import Client, Update

console = Console(stderr=True)


def steps_bar() -> Progress:
    """A bar that counts stacks of patches, or frames."""
    return Progress(
        TextColumn("{task.description}", markup=False),  # a file's name
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        console=console,
    )


def _total(update: "Update") -> int | None:
    """Of a single image no steps are told, and its job is one of one."""
    ended = update.state not in ("queued", "running")
    return update.stacks or (1 if ended else None)


def follow(client: "Client", job_id: str, title: str) -> None:
    """Show a job's progress until it is terminal."""
    with steps_bar() as bar:
        task = bar.add_task(printable(title), total=None, what="steps")
        for update in client.follow(job_id):
            bar.update(
                task,
                completed=update.stacks_done if update.stacks else update.state == "succeeded",
                total=_total(update),
                description=f"{printable(title)}: {update.stage or update.state}",
            )
