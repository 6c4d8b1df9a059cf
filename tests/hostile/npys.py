"""NPY: pickles, headers that are programs, and sizes that are not true."""

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.cases import Canary, Case, Valid, image


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self._path, "unpickled")


def npy(header: str | bytes, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A file with this header, unaligned."""
    text = header.encode() if isinstance(header, str) else header
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + data


def header(shape: object, dtype: object = "<u2", fortran: object = False) -> str:
    """As numpy writes it, with anything in it."""
    return f"{{'descr': {dtype!r}, 'fortran_order': {fortran!r}, 'shape': {shape!r}, }}\n"


def saved(array: Any) -> bytes:
    """As numpy saves it, pickled if it must be."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def valid() -> Valid:
    """16 bits."""
    return Valid("npy", saved(image()), [1, 6, 7, 8, 10, 20, 40, 60, 80, 127, 128, 500])


def pickled(canary: Canary) -> Path:
    """The file that a pickle here would write."""
    return canary.raw.with_name("unpickled")


def cases(canary: Canary) -> Iterator[Case]:
    """Everything but truncation and mutation."""
    yield from _pickles(pickled(canary))
    yield from _headers()
    yield from _sizes()
    yield from _kinds()


def _pickles(target: Path) -> Iterator[Case]:
    array = np.empty((24, 20), object)
    array[:] = [[Bomb(target)] * 20] * 24
    yield Case("npy-pickle", saved(array), "Python objects that run code")
    bare = pickle.dumps(Bomb(target))
    yield Case("npy-pickle-alone", bare, "a pickle and no array")
    yield Case("npy-pickle-as-numbers", npy(header((24, 20), "|O"), bare), "objects in the header")
    one = np.array(Bomb(target), object)
    yield Case("npy-pickle-0-d", saved(one), "one Python object")
    fields = [("a", "<u2"), ("b", "|O")]
    yield Case("npy-pickle-in-fields", npy(header((24, 20), fields), bare), "object in a record")
    buffer = io.BytesIO()
    np.savez(buffer, a=array, allow_pickle=True)
    yield Case("npy-npz", buffer.getvalue(), "an archive")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(2**26))
    yield Case("npy-zip-bomb", buffer.getvalue(), "an archive that explodes")


def _headers() -> Iterator[Case]:
    data = image().tobytes()
    yield Case("npy-magic-alone", b"\x93NUMPY", "no header")
    yield Case("npy-version-9", npy(header((24, 20)), data, (9, 9)), "version 9.9")
    yield Case("npy-version-0", npy(header((24, 20)), data, (0, 0)), "version 0.0")
    long = header((24, 20)) + " " * 60_000
    yield Case("npy-long-header", npy(long, data), "header of 60 kB")
    yield Case("npy-4-GiB-header", b"\x93NUMPY\2\0\xff\xff\xff\xff" + data, "header of 4 GiB")
    real = header((24, 20)) + " " * 2**24
    yield Case("npy-16-MiB-header", npy(real, data, (2, 0)), "header of 16 MiB")
    yield Case("npy-empty-header", npy("", data), "header of no bytes")
    program = "__import__('pathlib').Path('run').touch()"
    yield Case("npy-program", npy(program, data), "a program for a header")
    called = header((24, 20)).replace("False", program)
    yield Case("npy-program-inside", npy(called, data), "a program in the header")
    yield Case("npy-nested", npy("(" * 4500 + ")" * 4500, data), "4500 parentheses")
    yield Case("npy-nested-lists", npy("[" * 200 + "]" * 200, data), "200 brackets")
    yield Case("npy-nested-minus", npy("-" * 9000 + "1", data), "9000 signs")
    yield Case("npy-number", npy("1" * 9000, data), "a number of 9000 digits")
    yield Case("npy-open", npy("{'descr': '<u2', 'shape': (24", data), "header that ends early")
    yield Case("npy-list", npy("[1, 2]", data), "a list for a header")
    yield Case("npy-keys", npy("{'descr': '<u2'}", data), "keys are missing")
    yield Case("npy-latin", npy(b"\xff\xfe\x00" * 20, data, (3, 0)), "header in no encoding")


def _sizes() -> Iterator[Case]:
    data = image().tobytes()
    yield Case("npy-8-TiB", npy(header((2**21, 2**21)), data), "8 TiB in a kilobyte")
    yield Case("npy-2**64", npy(header((2**32, 2**32)), data), "2**64 pixels")
    yield Case("npy-overflow", npy(header((2**62, 4)), data), "2**64 pixels, 0 when wrapped")
    yield Case("npy-2-GiB", npy(header((2**15, 2**15)), data), "2 GiB in a kilobyte")
    yield Case("npy-one-short", npy(header((24, 20)), data[:-1]), "one byte is missing")
    yield Case("npy-negative", npy(header((-24, -20)), data), "negative size")
    yield Case("npy-negative-0", npy(header((-1, 20)), data), "negative number of rows")
    yield Case("npy-fraction", npy(header((24.0, 20.0)), data), "a size with fractions")
    yield Case("npy-boolean", npy(header((True, 20)), data), "a size that is a truth value")
    yield Case("npy-text-size", npy(header("24"), data), "a size that is text")
    yield Case("npy-empty", saved(np.empty((0, 20))), "no pixels")
    yield Case("npy-empty-large", npy(header((0, 2**62))), "no pixels, but many columns")
    yield Case("npy-0-d", saved(np.array(1.0)), "a number")
    yield Case("npy-1-d", saved(np.arange(480)), "a row")
    yield Case("npy-4-d", saved(np.ones((2, 2, 24, 20))), "four dimensions")
    yield Case("npy-64-d", npy(header((1,) * 64), b"\0\0"), "64 dimensions")
    yield Case("npy-65-d", npy(header((1,) * 65), b"\0\0"), "65 dimensions")
    yield Case("npy-narrow", saved(np.ones((480, 1))), "one pixel wide")


def _kinds() -> Iterator[Case]:
    data = image().tobytes()
    for name, dtype in (
        ("text", "|S2000000000"),
        ("unicode", "<U400000000"),
        ("void", "|V2147483647"),
        ("dates", "<M8[ns]"),
        ("complex", "<c16"),
        ("record", [("a", "<u1"), ("b", "<u1")]),
        ("many-fields", [(f"f{n}", "<u2") for n in range(500)]),
        ("subarray", ("<u2", (2**20, 2**10))),
        ("nonsense", "<q9"),
        ("comma", "u2,O"),
        ("number", 7),
        ("nested", [("a", [("b", [("c", "|O")])])]),
    ):
        yield Case(f"npy-of-{name}", npy(header((24, 20), dtype), data), f"pixels of {name}")
    yield Case("npy-fortran-maybe", npy(header((24, 20), fortran="maybe"), data), "order unclear")
    yield Case("npy-nan", saved(np.full((24, 20), np.nan)), "all NaN")
    yield Case("npy-infinite", saved(np.full((24, 20), -np.inf)), "all infinite")
    yield Case("npy-long-double", saved(np.full((24, 20), np.nan, np.longdouble)), "80 bits, NaN")
