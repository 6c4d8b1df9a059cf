"""What a child can do ahead of its work, which is more than half of reading a small file.

A forked process copies each page of memory when it first writes to it, and Python writes to all
that it looks at. So a child that waits reads a small image of its own first: what the next file
will need has been copied by then.
"""

import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from worker.decoding import admission, libraries
from worker.decoding.sandbox import forget_environment
from worker.formats import reading

IMAGE = Path(__file__).with_suffix(".tif")  # 16 x 16 px of nothing in particular
MAX_PIXELS = 256


def rehearse() -> None:
    """Read an image as `worker.decoding.child` reads a stranger's."""
    forget_environment()
    libraries.loaded()
    declared = admission.check([IMAGE], max_pixels=MAX_PIXELS)
    decoded = reading.read(IMAGE, max_pixels=MAX_PIXELS)
    declared.check_read(decoded.pixels)
    np.save(io.BytesIO(), decoded.pixels[0], allow_pickle=False)
    json.dumps(asdict(decoded.info))
