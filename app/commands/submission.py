"""`reucid submit`: images to a server, and everything that comes of them back."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.grouped import grouped
from app.commands.options import Denoising, InputFile, Overwrite
from app.commands.outputs import make_folder, refuse_existing

if TYPE_CHECKING:
    from reucid_client import Client, Job

ZIP_MAGIC = b"PK\x03\x04"


@grouped
def submit(
    file: InputFile,
    *,
    server: Annotated[
        str, typer.Option("--server", help="The server's address.")
    ] = "http://127.0.0.1:8000",
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="NAME", help="By which its jobs are found.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output-dir",
            help="With --wait: folder for what it yields, named after FILE.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    denoising: Denoising,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="Classifier, by its name in the server's GET /v1/models.",
        ),
    ] = None,
) -> None:
    """Send an image to a server, with the key in REUCID_API_KEY if it wants one.

    An EMI file is sent with the SER files beside it. A zip of images becomes a batch, a job for
    each, all or none; its name is printed, and with -o there is a summary.csv.
    """
    from app.commands.remote import connected
    from worker.decoding.inspection import companions_of

    if not file.is_file():
        raise typer.BadParameter(f"no file at {file}", param_hint="FILE")
    if output_dir is not None and not wait:
        message = "needs --wait: there is nothing to write before the job is done"
        raise typer.BadParameter(message, param_hint="--output-dir")
    options = denoising.parameters() | {"model": model, "batch": batch}
    if _is_zip(file):
        if output_dir is not None:
            make_folder(output_dir, "--output-dir")
            refuse_existing(list(output_dir.iterdir())[:1], overwrite=overwrite)
        with connected(server) as client:
            _submit_batch(client, file, options, wait=wait, folder=output_dir)
        return
    prefix = f"{file.stem}."
    if output_dir is not None:
        _check(output_dir, prefix, overwrite=overwrite)
    with connected(server) as client:
        job = client.submit([file, *companions_of(file)], **options)
        typer.echo(job.id)
        if wait:
            _see_through(client, job, file.name, output_dir, prefix)


def _is_zip(file: Path) -> bool:
    """As a person would say: `.npz`, a zip as well, is an array."""
    with file.open("rb") as opened:
        return file.suffix.lower() == ".zip" and opened.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _see_through(
    client: "Client", job: "Job", title: str, folder: Path | None, prefix: str
) -> None:
    """Follow a job, say what its result says of itself, and fetch it."""
    from app.commands.progress import follow
    from app.commands.remote import fetch_all
    from reucid_client import JobError
    from worker.formats.text import printable

    job = follow(client, job, title)
    if job.state != "succeeded":
        raise JobError(job)
    report = client.report(job.id)
    for sentence in report["verdict"]:
        typer.echo(sentence)
    for path in fetch_all(client, job, report, folder, prefix) if folder else ():
        typer.echo(printable(str(path)))


def _submit_batch(
    client: "Client", file: Path, options: Mapping[str, Any], *, wait: bool, folder: Path | None
) -> None:
    """Send a zip of images; follow all, and fetch what there is of those that succeeded."""
    from app.commands.progress import follow_batch
    from app.commands.remote import failure_of, fetch_all
    from worker.formats.text import printable

    name = str(client.submit_batch(file, **options)["name"])
    typer.echo(name)
    if not wait:
        return
    follow_batch(client, name, file.name)
    jobs = list(client.jobs(batch=name))[::-1]
    if folder is not None:
        taken = set[str]()
        for job in jobs:
            if job.state == "succeeded":
                prefix = _prefix(job, taken)
                for path in fetch_all(client, job, client.report(job.id), folder, prefix):
                    typer.echo(printable(str(path)))
        typer.echo(printable(str(client.download_summary(name, folder / "summary.csv"))))
    failed = [job for job in jobs if job.state != "succeeded"]
    if failed:
        raise failure_of(failed, len(jobs))


def _prefix(job: "Job", taken: set[str]) -> str:
    """Before the names of a job's files: its image's, and told from others of that name."""
    stem = Path(job.data["image_name"]).stem
    prefix = f"{stem}." if stem.casefold() not in taken else f"{stem}-{job.id[:8]}."
    taken.add(stem.casefold())
    return prefix


def _check(folder: Path, prefix: str, *, overwrite: bool) -> None:
    """Refuse to lose what lies where the parts of a job will be, before anything is sent."""
    from app.commands.remote import PARTS

    make_folder(folder, "--output-dir")
    interims = [each for each in folder.iterdir() if each.name.startswith(f"{prefix}interim-")]
    refuse_existing([folder / f"{prefix}{name}" for name in PARTS] + interims, overwrite=overwrite)
