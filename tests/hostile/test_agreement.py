"""What is checked is what is read: admission and reader agree on a file, or one refuses it."""

import io
import os
import resource
import struct
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from rsciio.digitalmicrograph._api import DigitalMicrographReader

from tests.hostile import dms, tiffs
from tests.hostile.cases import SHAPE, Valid, image, mutations
from tests.hostile.collection import valid_files
from worker.decoding import admission
from worker.decoding.admission.declared import Declared
from worker.decoding.admission.dm import walk
from worker.decoding.admission.source import Source
from worker.formats import reading
from worker.formats.errors import FormatError
from worker.formats.tiff_codecs import CODECS

MOST_PIXELS = 2**20
CHILD_SECONDS = 5  # of processor time
SHAPED = ("tiff", "png", "npy", "mrc", "ser")  # formats that state the shape of each frame
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VALID = valid_files()
TYPES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 0, 99)  # of TIFF's tags


def understood(path: Path) -> tuple[Declared, reading.Decoded] | None:
    """What admission and reader say of a file; None when either refuses it."""
    try:
        declared = admission.check([path], max_pixels=MOST_PIXELS)
        return declared, reading.read(path, max_pixels=MOST_PIXELS)
    except (FormatError, MemoryError):
        return None


def check_agreement(path: Path, declared: Declared, decoded: reading.Decoded) -> None:
    declared.check_read(decoded.pixels)
    if decoded.info.format not in SHAPED:
        return
    frames: Counter[tuple[int, ...]] = Counter()
    for pixels in decoded.pixels:
        frames[pixels.shape[-2:]] += pixels.shape[0] if pixels.ndim == 3 else 1
    stored = sum(pixels.nbytes for pixels in decoded.pixels) <= path.stat().st_size
    for shape, count in frames.items():
        # A large stack of ImageJ has one page, after which the other frames lie uncompressed.
        assert count <= declared.shapes[shape] or (shape in declared.shapes and stored)


@pytest.mark.parametrize("valid", VALID, ids=lambda valid: valid.format)
def test_a_valid_file_is_understood_alike(tmp_path: Path, valid: Valid) -> None:
    path = tmp_path / "file"
    path.write_bytes(valid.content)
    found = understood(path)
    assert found is not None
    check_agreement(path, *found)


@pytest.mark.parametrize("valid", VALID, ids=lambda valid: valid.format)
@given(seed=st.integers(0, 2**32))
@EXAMPLES
def test_a_changed_file_is_understood_alike(tmp_path: Path, valid: Valid, seed: int) -> None:
    (case,) = mutations(valid, 1, seed)
    path = tmp_path / "file"
    path.write_bytes(case.content)
    check_in_a_child(path)


def check_in_a_child(path: Path) -> None:
    """As a server reads it: a damaged HDF5 file can keep its library busy for ever."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CHILD_SECONDS, CHILD_SECONDS + 1))
        status = 1
        try:
            found = understood(path)
            if found is not None:
                check_agreement(path, *found)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert os.WIFSIGNALED(ended) or os.waitstatus_to_exitcode(ended) == 0


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A TIFF of any kind that tifffile writes."""
    codec = draw(st.sampled_from([None, "zlib", "lzma", "zstd", "packbits"]))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(17, 40), st.integers(17, 40)))
    kind = draw(st.sampled_from(["uint8", "int16", "uint16", "float32", "uint32", "float64"]))
    pixels = np.random.default_rng(draw(st.integers(0, 99))).poisson(90, shape).astype(kind)
    options: dict[str, Any] = {"compression": codec, "photometric": "minisblack"}
    if draw(st.booleans()):
        options["tile"] = (16, 32)
    elif draw(st.booleans()):
        options["rowsperstrip"] = draw(st.integers(1, 50))
    if codec in ("zlib", "lzma", "zstd") and draw(st.booleans()):
        options["predictor"] = True
    below = draw(st.booleans())
    whole: dict[str, Any] = {"byteorder": draw(st.sampled_from("<>"))}
    whole["bigtiff"] = draw(st.booleans())
    if draw(st.booleans()) and not below:
        whole["ome"] = True
    else:
        options["metadata"] = draw(st.sampled_from([None, {}]))
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **whole) as writer:
        writer.write(pixels, subifds=1 if below else 0, **options)
        if below:
            writer.write(pixels[:, ::2, ::2], subfiletype=1, **options)
    return buffer.getvalue()


def entries(content: bytes) -> Iterator[int]:
    """Where the entries of the first page lie."""
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, start)
    size, head = (20, 8) if big else (12, 2)
    yield from range(start + head, start + head + size * count, size)


@given(content=written(), data=st.data())
@EXAMPLES
def test_tags_of_other_types_or_given_twice(
    tmp_path: Path, content: bytes, data: st.DataObject
) -> None:
    changed = bytearray(content)
    places = list(entries(content))
    order = "little" if content[:2] == b"II" else "big"
    size = places[1] - places[0]
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.sampled_from(places))
        match data.draw(st.sampled_from(["type", "code", "twice", "value"])):
            case "type":
                kind = data.draw(st.sampled_from(TYPES))
                changed[place + 2 : place + 4] = kind.to_bytes(2, order)  # type: ignore[arg-type]
            case "code":
                other = data.draw(st.sampled_from(places))
                changed[place : place + 2] = changed[other : other + 2]
            case "twice":
                other = data.draw(st.sampled_from(places))
                changed[place : place + size] = changed[other : other + size]
            case _:
                value = data.draw(st.sampled_from([0, 1, 2, 5, 7, 8, 33003, 50001, 65535]))
                number = value.to_bytes(2, order)  # type: ignore[arg-type]
                changed[place + size - 4 : place + size - 2] = number
    path = tmp_path / "file.tif"
    path.write_bytes(changed)
    found = understood(path)
    if bytes(changed) == content:
        assert found is not None
    if found is None:
        return
    check_agreement(path, *found)
    with tifffile.TiffFile(path, _multifile=False) as file:
        assert {int(page.keyframe.compression) for page in file.pages} <= set(CODECS)


@given(seed=st.integers(0, 2**32), version=st.sampled_from([3, 4]))
@example(seed=0, version=3)
@EXAMPLES
def test_tags_of_dm_end_where_the_reader_ends(tmp_path: Path, seed: int, version: int) -> None:
    (case,) = mutations(dms.valid(version), 1, seed)
    path = tmp_path / "file.dm"
    path.write_bytes(case.content)
    assume(case.content[:4] == struct.pack(">I", version))
    try:
        with Source(path) as source:
            end = walk(source)
    except ValueError:
        return
    with path.open("rb") as file:
        reader = DigitalMicrographReader(file)
        try:
            reader.parse_file()
        except Exception:
            return  # refused
        assert file.tell() == end


AMBIGUOUS = {
    "compression-signed": tiffs.page(
        {code: value for code, value in tiffs.gray().items() if code != 259},
        data=image().tobytes(),
        extra=[(259, 9, 1, 7)],
    ),
    "compression-twice": tiffs.page(
        tiffs.gray(), data=image().tobytes(), extra=[(259, tiffs.SHORT, 1, 7)]
    ),
    "compression-rational": tiffs.page(
        {code: value for code, value in tiffs.gray().items() if code != 259},
        data=image().tobytes(),
        extra=[(259, tiffs.RATIONAL, 1, 8)],
    ),
    "compression-of-two-values": tiffs.page(
        {code: value for code, value in tiffs.gray().items() if code != 259},
        data=image().tobytes(),
        extra=[(259, tiffs.SHORT, 2, 1 | 7 << 16)],
    ),
    "width-twice": tiffs.page(tiffs.gray(), data=image().tobytes(), extra=[(256, 4, 1, 10)]),
    "description-twice": tiffs.page(
        tiffs.gray(), data=image().tobytes(), extra=[(270, 2, 4, 0x41), (270, 2, 4, 0x42)]
    ),
    "strips-and-tiles": tiffs.page(
        tiffs.gray() | {322: 32, 323: 32, 324: 8, 325: 960}, data=image().tobytes()
    ),
    "jpeg-below": tiffs.page(
        tiffs.gray(),
        data=image().tobytes() + tiffs.directory(tiffs.gray(t259=7)),
        extra=[(330, 4, 1, 8 + 2 * SHAPE[0] * SHAPE[1])],
    ),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_page_that_can_be_understood_in_two_ways_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.tif"
    path.write_bytes(AMBIGUOUS[name])
    with pytest.raises(FormatError):
        admission.check([path], max_pixels=MOST_PIXELS)
