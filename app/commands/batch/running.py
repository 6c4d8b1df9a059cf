"""`reucid denoise` of many files: planned before anything is computed, told of at the end."""

import signal
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path, PurePath

import typer
from rich.console import Console

from app.commands.batch import record as records
from app.commands.batch import rows
from app.commands.batch.inputs import Source, sources
from app.commands.batch.naming import names
from app.commands.batch.order import Order
from app.commands.batch.record import Entry, Record, content_now, stamp_of
from app.commands.batch.rows import Row
from app.commands.batch.team import Team
from app.commands.batch.telling import tell_error
from app.commands.exits import BAD_INPUT
from app.commands.outputs import make_folder, refuse_existing
from app.commands.progress import console, steps_bar
from worker.formats.text import printable
from worker.settings import Settings

WIDE = 160  # columns of a table that no terminal shows


@dataclass(frozen=True)
class Plan:
    """What is to be done, under which names, and what is done already."""

    open: dict[Source, PurePath]
    done: list[Row]


def run(named: Sequence[Path], order: Order, *, jobs: int, resume: bool) -> int:
    """Denoise files and the images in folders; the exit status, 2 if any of them failed.

    Raises
    ------
    typer.BadParameter
        Before anything is computed: when there is nothing to do it with, or nowhere to write.
    """
    files = sources(named, order.folders)
    for folder in order.folders:
        make_folder(folder, "--output")
    if not records.exists_in(order.folder):
        refuse_existing([order.folder / rows.SUMMARY], overwrite=order.overwrite)
    with records.opened(order.folder) as record:
        plan = _planned(files, order, record, resume=resume)
        _check(plan, order, files, record, resume=resume)
        try:
            finished = _denoise(plan.open, order, record, jobs)
        finally:
            rows.write_summary(order.folder, record.rows())
    return _tell(finished, plan, order)


def _planned(files: Sequence[Source], order: Order, record: Record, *, resume: bool) -> Plan:
    given = names(files, order.ending, record.is_of_another)
    entries = {each: record.last(each.relative) if resume else None for each in files}
    done = {
        source: entry.row
        for source, entry in entries.items()
        if entry is not None and _is_done(source, given[source], entry, order)
    }
    return Plan({each: given[each] for each in files if each not in done}, list(done.values()))


def _is_done(source: Source, name: PurePath, entry: Entry, order: Order) -> bool:
    if entry.row.error or (entry.order, entry.name) != (order.digest, str(name)):
        return False
    if not all(path.exists() for path in order.targets(name).files):
        return False
    return entry.stamp == stamp_of(source.path) or entry.content == content_now(source.path)


def _check(
    plan: Plan, order: Order, files: Sequence[Source], record: Record, *, resume: bool
) -> None:
    """Refuse what would destroy something."""
    inputs = {each.path.resolve() for each in files}
    targets = [path for name in plan.open.values() for path in order.targets(name).files]
    for path in targets:
        if path.resolve() in inputs:
            raise typer.BadParameter(f"{path} is an input, which is never overwritten")
    if len(set(targets)) < len(targets):
        raise typer.BadParameter("two outputs have the same name: the last would replace the first")
    hint = (
        "not made of this file with these parameters; --overwrite replaces what is there"
        if resume
        else "--resume does what is missing, --overwrite all again"
    )
    others = [
        path
        for source, name in plan.open.items()
        if not (resume and record.is_begun(name, source.relative))
        for path in order.targets(name).files
    ]
    refuse_existing(others, overwrite=order.overwrite, hint=hint)


def _denoise(open_: dict[Source, PurePath], order: Order, record: Record, jobs: int) -> list[Row]:
    """Every file that is open; Ctrl-C or SIGTERM stops it, and what is done is written down."""
    if not open_:
        return []
    finished: list[Row] = []
    record.begin(open_)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with steps_bar() as bar, Team(order, min(jobs, len(open_)), Settings()) as team:
            task = bar.add_task(printable(str(order.folder)), total=len(open_), what="files")
            futures = [team.submit(source, name) for source, name in open_.items()]
            for future in as_completed(futures):
                entry = future.result()
                record.add(entry)
                finished.append(entry.row)
                bar.advance(task)
                if entry.row.error:
                    tell_error(entry.row)
    except KeyboardInterrupt:
        left = len(open_) - len(finished)
        console.print(f"stopped, {left} of {len(open_)} files are open: --resume goes on with them")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    return finished


def _tell(finished: list[Row], plan: Plan, order: Order) -> int:
    terminal = Console()
    told = sorted(finished, key=lambda row: row.file)
    if told:
        width = terminal.width if terminal.is_terminal else WIDE
        terminal.print(rows.as_table(told), width=width)
    failed = sum(bool(row.error) for row in finished)
    counts = [f"{len(finished) - failed} denoised"]
    counts += [f"{len(plan.done)} done before"] if plan.done else []
    counts += [f"{failed} FAILED"] if failed else []
    typer.echo(f"{', '.join(counts)}; {printable(str(order.folder / rows.SUMMARY))}")
    return BAD_INPUT if failed else 0
