"""The same work without a server, for scripts, notebooks and the command line.

`reading` has a microscope's file as an array with calibration, and writes one. A file is denoised
in three steps, which may run in several processes: `decoding`, `denoising`, `outputs`. Only the
last two load torch.
"""

from worker.formats.errors import FormatError
from worker.local.reading import Axis, Image, read, write

__all__ = ["Axis", "FormatError", "Image", "read", "write"]
