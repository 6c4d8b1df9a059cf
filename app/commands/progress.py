"""Progress bars, on standard error, where a person waits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worker.formats.text import printable

if TYPE_CHECKING:
    from reucid_client import Client, Job

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


def follow(client: "Client", job: "Job", title: str) -> "Job":
    """Show a job's progress until it has ended; the job as it is then."""
    with steps_bar() as bar:
        task = bar.add_task(printable(title), total=None, what="steps")

        def tell(job: "Job") -> None:
            # Of a single image no steps are told, and its job is one of one.
            stacks, done = job.data["stacks"], job.data["stacks_done"]
            bar.update(
                task,
                completed=done if stacks else job.state == "succeeded",
                total=stacks or (1 if job.ended else None),
                description=f"{printable(title)}: {job.stage or job.state}",
            )

        return client.wait(job.id, bar=tell)


def follow_batch(client: "Client", name: str, title: str) -> None:
    """Show a batch's progress until all its jobs have ended."""
    with steps_bar() as bar:
        task = bar.add_task(printable(title), total=None, what="images")

        def tell(batch: Mapping[str, Any]) -> None:
            counts = batch["counts"]
            ended = batch["total"] - counts["queued"] - counts["running"]
            bar.update(task, completed=ended, total=batch["total"])

        client.wait_batch(name, tell=tell)
