"""Pictures of large images: the same as of small ones, in the memory of a band."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from worker.contract import ImageInfo
from worker.formats import Look, Rows, pieces, write
from worker.formats.pieces import percentiles
from worker.formats.png_rows import write_png

DTYPES = ("u1", "i1", "u2", "i2", ">u2", "i4", "f2", "f4", "f8", ">f4")
SHARES = st.lists(st.floats(0, 100), min_size=1, max_size=3)


def info_of(shape: tuple[int, int], dtype: str = "float32") -> ImageInfo:
    return ImageInfo("npy", shape, dtype, (0.02, 0.02), "nm")


@given(data=st.data(), dtype=st.sampled_from(DTYPES), shares=SHARES, piece=st.integers(1, 50))
def test_percentiles_in_pieces_are_numpys(
    data: st.DataObject, dtype: str, shares: list[float], piece: int
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    plain = np.dtype(dtype).newbyteorder("=")
    finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False}
    elements = (
        st.floats(-1000, 1000, width=8 * plain.itemsize, **finite) if plain.kind == "f" else None
    )
    image: NDArray[Any] = data.draw(arrays(plain, shape, elements=elements)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", piece)
        got = percentiles(Rows.of(image), shares)
    expected = np.percentile(image.astype(np.float64), shares)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-9)


@given(data=st.data(), rgb=st.booleans(), depth=st.sampled_from([8, 16]))
def test_pillow_reads_what_is_written_by_rows(
    data: st.DataObject, rgb: bool, depth: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    depth = 8 if rgb else depth
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = (height, width, 3) if rgb else (height, width)
    image = rng.integers(0, 2**depth, shape).astype(f">u{depth // 8}")
    path = tmp_path_factory.mktemp("png") / "out.png"
    cut = data.draw(st.integers(0, height))
    write_png(path, (height, width), [image[:cut], image[cut:]], rgb=rgb, depth=depth)
    with Image.open(path) as read:
        read.verify()
    with Image.open(path) as read:
        np.testing.assert_array_equal(np.asarray(read), image)


@pytest.mark.parametrize("dtype", ["float32", "uint16", "uint8"])
@pytest.mark.parametrize(
    ("look", "source"),
    [
        (None, False),
        (Look((5, 60), "viridis"), False),
        (Look(scalebar=True), False),
        (Look(colormap="magma", scalebar=True), True),
        (None, True),
    ],
)
def test_a_large_picture_is_the_small_ones_twin(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: str,
    look: Look | None,
    source: bool,
) -> None:
    image = np.random.default_rng(1).gamma(4, 30, (150, 230)).astype(dtype)
    info = info_of((150, 230), dtype)
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    write(small, image, info, "png", source=source, look=look)
    monkeypatch.setattr(sys.modules["worker.formats.picture"], "WHOLE", 0)
    monkeypatch.setattr(pieces, "PIECE", 7 * 230)
    write(large, image, info, "png", source=source, look=look)
    with Image.open(small) as one, Image.open(large) as other:
        assert (one.mode, one.size) == (other.mode, other.size)
        apart = np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
    assert apart.max() <= (1 if look is None or look.colormap == "gray" else 4)
    assert np.count_nonzero(apart) <= apart.size // 500  # of the last digits of the levels


WITHIN = """
import resource, sys
import numpy as np
from pathlib import Path
from worker.contract import ImageInfo
from worker.formats import Look, write

pixels = np.load(sys.argv[1], mmap_mode="r")
info = ImageInfo("npy", pixels.shape, "float32", (0.02, 0.02), "nm")
fields = Path("/proc/self/status").read_text().split()
used = 1024 * int(fields[fields.index("VmData:") + 1])
resource.setrlimit(resource.RLIMIT_DATA, (used + int(sys.argv[3]),) * 2)
write(Path(sys.argv[2]), pixels, info, "png", look=Look((1, 99), "viridis", True))
"""


def test_a_large_picture_is_drawn_in_the_memory_of_bands(tmp_path: Path) -> None:
    """Before, it took the frame as float64, and the picture: 12 times what it may take here."""
    side = 4096
    stored, drawn = tmp_path / "in.npy", tmp_path / "out.png"
    np.save(stored, np.random.default_rng(0).random((side, side), np.float32))
    room = str(48 * 2**20)  # bytes: less than the frame, 64 MiB
    command = [sys.executable, "-c", WITHIN, str(stored), str(drawn), room]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(drawn) as read:
        assert (read.mode, read.width) == ("RGB", side)
