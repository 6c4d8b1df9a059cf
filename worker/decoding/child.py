"""What runs in the child: a file is checked, decoded and saved, and the outcome written down."""

import errno
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from worker.decoding import admission
from worker.decoding.sandbox import Allowance, enter
from worker.decoding.terms import ANSWER, DISK_FULL, Limits
from worker.formats import reading
from worker.formats.errors import FormatError
from worker.store import pixels_name


def decode(files: Sequence[Path], folder: Path, limits: Limits) -> None:
    """Leave pixels and answer, or an answer alone, in the folder."""
    logging.disable(logging.WARNING)  # a line for every odd tag is work, too
    size = sum(path.stat().st_size for path in files)
    allowance = enter(files, folder, limits.seconds, limits.processor_seconds(size))
    try:
        answer = {"file": _decode(files, limits, allowance)}
    except FormatError as error:
        answer = {"refusal": error.to_dict()}
    except MemoryError:
        message = "the file needs more memory to decode than an image of its size should"
        answer = {"refusal": {"code": "too_large", "message": message}}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise
    Path(ANSWER).write_text(json.dumps(answer))


def _decode(files: Sequence[Path], limits: Limits, allowance: Allowance) -> dict[str, Any]:
    declared = admission.check(files, max_pixels=limits.max_pixels)
    allowance.admit(declared.bytes)
    path, *companions = files
    decoded = reading.read(path, max_pixels=limits.max_pixels, companions=companions)
    declared.check_read(decoded.pixels)
    for index, pixels in enumerate(decoded.pixels):
        np.save(pixels_name(index), pixels, allow_pickle=False)
    return asdict(decoded.info)
