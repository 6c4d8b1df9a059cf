"""What runs in the child: one file is checked, decoded and saved, and the outcome written down."""

import errno
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from worker import admission, formats
from worker.contract import Limits
from worker.formats import FormatError
from worker.sandbox import Allowance, enter
from worker.store import PIXELS

ANSWER = "answer.json"
DISK_FULL = 28  # exit status of a child that could not write its result


def decode(source: str, folder: str, limits: Limits) -> None:
    """Leave pixels and answer, or an answer alone, in the folder."""
    path = Path(source)
    allowance = enter(path, Path(folder), limits.seconds)
    try:
        answer = {"image": _decode(path, limits, allowance)}
    except FormatError as error:
        answer = {"refusal": {"code": error.code, "message": str(error)}}
    except MemoryError:
        message = "the file needs more memory to decode than an image of its size should"
        answer = {"refusal": {"code": "too_large", "message": message}}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise
    Path(ANSWER).write_text(json.dumps(answer))


def _decode(path: Path, limits: Limits, allowance: Allowance) -> dict[str, Any]:
    declared = admission.check(path, formats.recognise(path), max_pixels=limits.max_pixels)
    allowance.admit(declared)
    pixels, info = formats.read(path, max_pixels=limits.max_pixels)
    np.save(PIXELS, pixels, allow_pickle=False)
    return asdict(info)
