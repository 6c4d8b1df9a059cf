"""A pyramid of means against numpy's means of blocks, and against damage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.pyramid.layout import (
    KEPT,
    LADDER,
    DamagedTileError,
    Layout,
    Region,
    difference,
    is_large,
    itself,
)
from worker.pyramid.making import write
from worker.pyramid.means import coarser
from worker.pyramid.reading import Origin, Pyramid

DTYPES = (np.uint8, np.int16, np.uint16, np.float32, np.float64, ">u2")
Stack = NDArray[Any]


def block_means(image: NDArray[Any], reduce: int) -> NDArray[np.float64]:
    """By the definition: the mean of every block, of what is there of it."""
    m, n = image.shape
    rows, columns = range(0, m, reduce), range(0, n, reduce)
    return np.array(
        [[image[y : y + reduce, x : x + reduce].mean(dtype=float) for x in columns] for y in rows]
    )


def saved(folder: Path, *stacks: Stack) -> list[Path]:
    paths = [folder / f"{number}.npy" for number in range(len(stacks))]
    for path, stack in zip(paths, stacks, strict=True):
        np.save(path, stack)
    return paths


def pyramid_of(folder: Path, stack: Stack) -> Pyramid:
    (origin,) = saved(folder, stack)
    path = folder / "pyramid"
    write(path, [stack], itself)
    return Pyramid(lambda: path, lambda: path, stack.shape, (Origin(lambda: origin),))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_regions_at_all_scales_are_means_of_blocks(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frames, m, n = (data.draw(st.integers(1, most), name) for most, name in SIDES)
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    stack = rng.uniform(0, 200, (frames, m, n)).astype(dtype)
    pyramid = pyramid_of(tmp_path_factory.mktemp("pyramid"), stack)
    reduce = data.draw(st.sampled_from(LADDER))
    frame = data.draw(st.integers(0, frames - 1))
    _, height, width = Layout(stack.shape).level(reduce)
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))

    got = pyramid.read(frame, Region(reduce, slice(y0, y1), slice(x0, x1)))

    assert got.dtype == np.dtype("<f4")
    expected = block_means(stack[frame], reduce)[y0:y1, x0:x1]
    if reduce == 1 or dtype.kind in "iu":  # whole numbers add up exactly
        np.testing.assert_array_equal(got, expected.astype(np.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


SIDES = ((2, "frames"), (600, "m"), (600, "n"))


def test_a_residual_is_taken_before_its_means(tmp_path: Path) -> None:
    """A small difference of large numbers keeps its digits."""
    rng = np.random.default_rng(0)
    noisy = rng.integers(60000, 65000, (3, 70, 90)).astype(np.uint16)
    denoised = noisy[1:2] + rng.normal(0, 1e-2, (1, 70, 90)).astype(np.float32)
    paths = saved(tmp_path, denoised, noisy)
    write(tmp_path / "pyramid", [denoised, noisy[1:2]], difference)
    origins = (Origin(lambda: paths[0]), Origin(lambda: paths[1], first=1))
    path = tmp_path / "pyramid"
    pyramid = Pyramid(lambda: path, lambda: path, (1, 70, 90), origins, difference)
    residual = noisy[1].astype(np.float32) - denoised[0]
    full = pyramid.read(0, Region(1, slice(0, 70), slice(0, 90)))
    np.testing.assert_array_equal(full, residual)
    for side, rows, columns in ((2, 35, 45), (8, 9, 12)):
        small = pyramid.read(0, Region(side, slice(0, rows), slice(0, columns)))
        np.testing.assert_allclose(small, block_means(residual, side), rtol=1e-6, atol=1e-9)


def test_numbers_beyond_single_precision_stay_finite(tmp_path: Path) -> None:
    stack = np.array([[[1e300, -1e300], [0.0, 1.0]]])
    got = pyramid_of(tmp_path, stack).read(0, Region(1, slice(0, 2), slice(0, 2)))
    most = np.finfo(np.float32).max
    np.testing.assert_array_equal(got, [[most, -most], [0, 1]])


@pytest.mark.parametrize("reduce", [1, 2, 4, 64])
@pytest.mark.parametrize("hurt", ["flipped", "cut", "gone"])
def test_damage_is_never_read(tmp_path: Path, hurt: str, reduce: int) -> None:
    stack = np.random.default_rng(1).normal(size=(2, 300, 520)).astype(np.float32)
    pyramid = pyramid_of(tmp_path, stack)
    _, m, n = Layout(stack.shape).level(reduce)
    region = Region(reduce, slice(0, m), slice(0, n))
    pyramid.read(1, region)
    victim = pyramid.levels() if reduce in KEPT else pyramid.origins[0].find()
    content = bytearray(victim.read_bytes())
    if hurt == "flipped":
        layout = Layout(stack.shape)
        place = layout.offset(reduce) + 4 * m * n + 1 if reduce in KEPT else len(content) - 9
        content[place] ^= 1
        victim.write_bytes(content)
    elif hurt == "cut":
        victim.write_bytes(content[: len(content) // 2])
    else:
        victim.unlink()
    with pytest.raises(DamagedTileError):
        pyramid.read(1, region)


def test_damage_elsewhere_does_not_matter(tmp_path: Path) -> None:
    stack = np.random.default_rng(1).normal(size=(1, 300, 520)).astype(np.float32)
    pyramid = pyramid_of(tmp_path, stack)
    path = pyramid.origins[0].find()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    got = pyramid.read(0, Region(1, slice(0, 256), slice(0, 512)))
    np.testing.assert_array_equal(got, stack[0, :256, :512])


def test_the_table_vouches_for_the_file(tmp_path: Path) -> None:
    pyramid = pyramid_of(tmp_path, np.ones((1, 20, 30), np.float32))
    layout, path = Layout(pyramid.shape), pyramid.levels()
    assert path.stat().st_size == layout.levels_size + layout.table_size
    before = layout.table_digest(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert layout.table_digest(path) != before


def test_a_table_may_be_a_file_of_its_own_and_is_held_to_its_digest(tmp_path: Path) -> None:
    stack = np.random.default_rng(5).normal(size=(2, 300, 520)).astype(np.float32)
    one = pyramid_of(tmp_path, stack)
    levels, table = tmp_path / "a.levels", tmp_path / "a.tiles"
    write(levels, [stack], itself, table)
    layout = Layout(stack.shape)
    assert one.levels().read_bytes() == levels.read_bytes() + table.read_bytes()
    stated = layout.table_digest(table)
    two = Pyramid(lambda: levels, lambda: table, stack.shape, one.origins, table_sha256=stated)
    for reduce in LADDER:
        _, m, n = layout.level(reduce)
        region = Region(reduce, slice(0, m), slice(0, n))
        np.testing.assert_array_equal(two.read(1, region), one.read(1, region))
    content = bytearray(table.read_bytes())
    content[-1] ^= 1  # of a tile that is not read
    table.write_bytes(content)
    with pytest.raises(DamagedTileError):
        two.read(0, Region(4, slice(0, 9), slice(0, 9)))


def test_a_coarse_level_needs_neither_the_array_nor_finer_ones(tmp_path: Path) -> None:
    stack = np.random.default_rng(5).normal(size=(1, 300, 520)).astype(np.float32)
    pyramid = pyramid_of(tmp_path, stack)
    pyramid.origins[0].find().unlink()
    got = pyramid.read(0, Region(16, slice(3, 9), slice(5, 20)))
    np.testing.assert_allclose(got, block_means(stack[0], 16)[3:9, 5:20], rtol=1e-5, atol=1e-7)


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    side=st.sampled_from(KEPT),
    times=st.sampled_from([1, 2, 8, 64]),
)
def test_means_of_means_are_the_means(shape: tuple[int, int], side: int, times: int) -> None:
    image = np.random.default_rng(3).poisson(9, shape).astype(np.uint16)
    got = coarser(block_means(image, side), side, shape, side * times)
    np.testing.assert_allclose(got, block_means(image, side * times), rtol=1e-12)


def test_what_is_large_is_what_no_answer_holds() -> None:
    assert not is_large((2048, 2048))
    assert is_large((2049, 2048))
    assert is_large((5, 1024, 1024))
