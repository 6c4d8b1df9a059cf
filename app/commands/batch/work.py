"""What a worker process does: it denoises decoded files, one after the other, and tells of each."""

import os
import signal
import sys
from multiprocessing.connection import Connection

from app.commands.batch.failures import failed
from app.commands.batch.order import Order
from app.commands.batch.rows import Row, told
from app.commands.batch.task import Task
from worker.denoising.model_loading import judge_of
from worker.kernel import die_with
from worker.local.outputs import denoise_to


def serve(connection: Connection, order: Order) -> None:
    """Take tasks and answer with rows until there are no more."""
    die_with(os.getppid())
    signal.signal(signal.SIGTERM, _end)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_row(task, order))


def _end(*_: object) -> None:
    """Tidy up what is half written on the way out."""
    sys.exit(1)


def _row(task: Task, order: Order) -> Row:
    try:
        classify = judge_of(order.models, order.params)
        denoised = denoise_to(task.targets, order.form, task.decoded, order.params, classify)
    except Exception as error:
        return failed(task.file, error)
    return told(task.file, task.result, denoised.report, denoised.image.shape, denoised.residual)
