"""`reucid watch`: what a microscope saves is denoised when it is complete, until told to stop."""

import os
import signal
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path, PurePath

import typer

from app.commands.batch import record as records
from app.commands.batch import rows
from app.commands.batch.inputs import Source
from app.commands.batch.naming import key, names
from app.commands.batch.order import Order
from app.commands.batch.record import Entry, Record
from app.commands.batch.team import Team
from app.commands.batch.telling import tell_error, tell_result
from app.commands.batch.watch import Watch
from app.commands.outputs import make_folder, refuse_existing
from worker.formats.text import printable
from worker.settings import Settings


def run(folder: Path, order: Order, *, jobs: int, settle: float, every: float) -> None:
    """Watch a folder until Ctrl-C or SIGTERM.

    Raises
    ------
    typer.BadParameter
    """
    check_folders(folder, order)
    for each in order.folders:
        make_folder(each, "--output")
    if not records.exists_in(order.folder):
        refuse_existing([order.folder / rows.SUMMARY], overwrite=order.overwrite)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with records.opened(order.folder) as record:
        try:
            with Team(order, jobs, Settings()) as team:
                typer.echo(f"watching {printable(str(folder))}; Ctrl-C stops it")
                _Watching(Watch(folder, order, record, settle), team, record).go_on(every)
        except KeyboardInterrupt:
            typer.echo("stopped watching")


def check_folders(folder: Path, order: Order) -> None:
    """Refuse a folder whose files would be results.

    Raises
    ------
    typer.BadParameter
    """
    if not folder.is_dir():
        raise typer.BadParameter(f"no folder at {folder}", param_hint="FOLDER")
    watched = folder.resolve()
    for place in (each.resolve() for each in order.folders):
        if watched.is_relative_to(place):
            message = f"got {place}, expected a folder that does not hold the watched one"
            raise typer.BadParameter(message, param_hint="--output")


class _Watching:
    """What is being denoised of a watched folder."""

    def __init__(self, watch: Watch, team: Team, record: Record) -> None:
        self._watch = watch
        self._team = team
        self._record = record
        self._running: dict[Future[Entry], Source] = {}
        self._names: set[str] = set()
        self._errors: dict[Path, str] = {}

    def go_on(self, every: float) -> None:
        """Look again and again, so many seconds apart."""
        while True:
            for source in self._watch.complete(time.monotonic()):
                self._begin(source)
            done = wait(self._running, every, FIRST_COMPLETED).done if self._running else set()
            if not self._running:
                time.sleep(every)
            for future in done:
                self._end(self._running.pop(future), future.result())
            if done:
                rows.write_summary(self._watch.order.folder, self._record.rows())

    def _begin(self, source: Source) -> None:
        order = self._watch.order
        name = names([source], order.ending, self._is_taken)[source]
        self._names.add(key(name))
        self._record.begin({source: name})
        self._running[self._team.submit(source, name)] = source

    def _is_taken(self, name: PurePath, relative: PurePath) -> bool:
        """Nothing is overwritten, not even the result of what the file held before."""
        if key(name) in self._names or self._record.is_of_another(name, relative):
            return True
        if self._record.is_begun(name, relative):
            return False
        return any(os.path.lexists(path) for path in self._watch.order.targets(name).files)

    def _end(self, source: Source, entry: Entry) -> None:
        self._names.discard(key(PurePath(entry.name)))
        self._watch.ended(source, entry, time.monotonic())
        row = entry.row
        if row.error and row.error == self._errors.get(source.path):
            return  # it was told before, and tried again in vain
        self._record.add(entry)
        if row.error:
            self._errors[source.path] = row.error
            tell_error(row)
        else:
            self._errors.pop(source.path, None)
            tell_result(row)
