"""What is said of a file that has no result."""

import signal
import traceback

from app.commands.batch.rows import Row
from app.commands.exits import OUR_FAULT, explain


class WorkerLostError(Exception):
    """The process that denoised a file ended before it was done."""

    def __init__(self, status: int | None) -> None:
        how = signal.Signals(-status).name if status is not None and status < 0 else status
        super().__init__(
            f"the process that denoised it ended ({how}), as for want of memory: fewer --jobs "
            "leave more for each"
        )


def failed(file: str, error: Exception) -> Row:
    """The row of a file that has no result; what nobody foresaw is printed, too."""
    if isinstance(error, WorkerLostError):
        return Row(file, error=str(error), ours=True)
    try:
        message, status = explain(error)
    except Exception:
        traceback.print_exception(error)
        message, status = f"{type(error).__name__}: {error}", OUR_FAULT
    return Row(file, error=message, ours=status == OUR_FAULT)
