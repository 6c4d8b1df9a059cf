"""Progress bars, on standard error, where a person waits."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from app.commands.client import Client

console = Console(stderr=True)


def steps_bar() -> Progress:
    """A bar that counts stacks of patches, or frames."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        console=console,
    )


def follow(client: "Client", job_id: str, title: str) -> None:
    """Show a job's progress until it is terminal."""
    with steps_bar() as bar:
        task = bar.add_task(title, total=None, what="steps")
        for update in client.follow(job_id):
            bar.update(
                task,
                completed=update.stacks_done,
                total=update.stacks,
                description=f"{title}: {update.stage or update.state}",
            )
