"""Processes that are kept, and threads that decode a file and hand it over to one of them."""

from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path, PurePath
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from app.commands.batch.failures import WorkerLostError, failed
from app.commands.batch.inputs import Source
from app.commands.batch.order import Order
from app.commands.batch.record import Entry, Stamp, content_of, stamp_of
from app.commands.batch.rows import Row
from app.commands.batch.task import Task
from worker.decoding import forkserver
from worker.decoding.apart import end_apart, start_apart
from worker.formats.errors import FormatError
from worker.local.decoding import decode
from worker.settings import Settings


class Team:
    """As many processes as jobs are done at a time; each is begun when it first is needed."""

    def __init__(self, order: Order, jobs: int, settings: Settings) -> None:
        forkserver.preload("app.commands.batch.work")
        forkserver.start()
        self._order = order.shared_by(jobs, settings)
        self._settings = settings
        self._threads = ThreadPoolExecutor(jobs)
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers = [_Worker(self._order) for _ in range(jobs)]
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        """Wait for what was begun; after an error or Ctrl-C end it."""
        if error is not None:
            for worker in self._workers:
                worker.stop()
        self._threads.shutdown(wait=True, cancel_futures=error is not None)
        for worker in self._workers:
            worker.end()

    def submit(self, source: Source, name: PurePath) -> Future[Entry]:
        """Have a file denoised; what came of it, whatever that is."""
        return self._threads.submit(self._denoise, source, name)

    def _denoise(self, source: Source, name: PurePath) -> Entry:
        file, content, row = str(source.relative), "", None
        stamp: Stamp = ()
        try:
            stamp = stamp_of(source.path)
            with TemporaryDirectory(prefix="reucid-") as folder:
                decoded = decode(source.path, Path(folder), self._settings)
                if stamp_of(source.path) != stamp:
                    message = f"{source.path} was changed while it was read"
                    raise FormatError("changed_file", message)
                content = content_of(decoded.inputs)
                targets = self._order.targets(name)
                targets.make_folders()
                result = str(targets.result.relative_to(self._order.folder))
                row = self._do(Task(file, result, decoded, targets))
        except Exception as error:
            row = failed(file, error)
        return Entry(stamp, content, self._order.digest, str(name), row)

    def _do(self, task: Task) -> Row:
        worker = self._idle.get()
        try:
            return worker.do(task)
        finally:
            self._idle.put(worker)


class _Worker:
    """A process that denoises; another one takes its place when it is lost."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._stopped = False
        self._start()

    def _start(self) -> None:
        self._ours, theirs = forkserver.context.Pipe()
        self._process = start_apart(_in_worker, (theirs, self._order))
        theirs.close()

    def do(self, task: Task) -> Row:
        try:
            self._ours.send(task)
            row: Row = self._ours.recv()
        except (EOFError, OSError) as error:
            status = self.end()
            if not self._stopped:
                self._start()
            raise WorkerLostError(status) from error
        return row

    def stop(self) -> None:
        """End it while it works."""
        self._stopped = True
        self._process.terminate()

    def end(self) -> int | None:
        """Let it end."""
        self._ours.close()
        return end_apart(self._process)


def _in_worker(connection: Connection, order: Order) -> None:
    from app.commands.batch import work  # torch, which the server of children has

    work.serve(connection, order)
