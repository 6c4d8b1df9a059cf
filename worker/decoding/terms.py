"""What a decoder's parent and its child agree on: limits, names of files, exit statuses."""

from dataclasses import dataclass

ANSWER, PRINTED = "answer.json", "printed"  # files that a child leaves, beside the pixels
DISK_FULL = 28  # exit status of a child that could not write its result


class DecoderError(Exception):
    """The decoder failed, which says nothing about the file: a fault of ours, and logged."""

    code = "decoder_failed"


@dataclass(frozen=True)
class Limits:
    """What decoding a file may take."""

    max_pixels: int
    seconds: float
