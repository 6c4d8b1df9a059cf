"""What a decoder's parent and its child agree on: limits, names of files, exit statuses."""

import math
from dataclasses import dataclass

ANSWER, PRINTED = "answer.json", "printed"  # files that a child leaves, beside the pixels
DISK_FULL = 28  # exit status of a child that could not write its result

OF_ANY_FILE = 3  # s of processor time that a file of any size has
OF_A_MIB = 1  # and for each whole MiB of it
MIB = 2**20


class DecoderError(Exception):
    """The decoder failed, which says nothing about the file: a fault of ours, and logged."""

    code = "decoder_failed"


@dataclass(frozen=True)
class Limits:
    """What decoding a file may take."""

    max_pixels: int
    seconds: float  # by the clock

    def processor_seconds(self, size: int) -> int:
        """Processor time for files of so many bytes: a small file has little to decode."""
        return min(OF_ANY_FILE + OF_A_MIB * (size // MIB), math.ceil(self.seconds))
