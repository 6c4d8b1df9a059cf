"""PNG: the chain of chunks, and what its header declares."""

from worker.admission.limits import Declared
from worker.admission.source import Source

SIGNATURE = 8  # bytes
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
MOST_CHUNKS = 2**20
TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf")
LONGEST_TEXT = 2**20  # bytes of all text in the file, as stored


def check_png(source: Source, declared: Declared) -> None:
    """Walk all chunks.

    Raises
    ------
    FormatError, ValueError
    """
    length, kind, width, height, bits, colour = source.unpack(">I4sIIBB", SIGNATURE)
    if kind != b"IHDR" or length != 13 or colour not in CHANNELS:
        raise ValueError("got no valid header chunk")
    row = -(-width * CHANNELS[colour] * bits // 8)
    declared.add(width * height, height * max(row, width), stored=False)
    place, text = SIGNATURE, 0
    for _ in range(MOST_CHUNKS):
        length, kind = source.unpack(">I4s", place)
        source.read(place + 8 + length, 4)  # its checksum: the chunk is all there
        text += length if kind in TEXT else 0
        if text > LONGEST_TEXT:
            raise ValueError(f"got more than {LONGEST_TEXT} bytes of text")
        if kind == b"IEND":
            return
        place += 12 + length
    raise ValueError(f"got more than {MOST_CHUNKS} chunks")
