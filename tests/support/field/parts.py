"""Metadata of a part are that part's."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.support.field import writers as w
from tests.support.field.cases import case, only, read


@case("parts", "tiff")
def ome_of_two_magnifications(folder: Path) -> None:
    images = [
        {"name": "survey BF", "sizes": w.nm(5, 5), "shape": (10, 14)},
        {"name": "detail HAADF", "sizes": w.nm(0.02, 0.02)},
    ]
    w.ome(folder / "a.tif", [w.counts((10, 14)), w.counts()], w.ome_xml(images))
    _expect(folder / "a.tif", [("survey BF", "BF", 5.0), ("detail HAADF", "HAADF", 0.02)])


@case("parts", "tiff")
def ome_of_two_magnifications_and_one_size(folder: Path) -> None:
    images = [
        {"name": "survey BF", "sizes": w.nm(5, 5)},
        {"name": "detail HAADF", "sizes": w.nm(0.02, 0.02)},
    ]
    w.ome(folder / "a.tif", [w.counts(), w.counts(seed=6)], w.ome_xml(images))
    _expect(folder / "a.tif", [("survey BF", "BF", 5.0), ("detail HAADF", "HAADF", 0.02)])


@case("parts", "tiff")
def a_picture_before_the_image(folder: Path) -> None:
    """As JEOL's programs export: colours and a bar for people, then the 16 bits."""
    path = folder / "a.tif"
    picture = np.zeros((40, 50, 3), np.uint8)
    with tifffile.TiffWriter(path) as file:
        file.write(picture, photometric="rgb", metadata=None, description="BF",
                   resolution=(1e6, 1e6), resolutionunit="CENTIMETER")  # fmt: skip
        file.write(w.counts(), photometric="minisblack", metadata=None, description="HAADF",
                   resolution=(5e8, 5e8), resolutionunit="CENTIMETER")  # fmt: skip
    contents = _expect(path, [("HAADF", "HAADF", 0.02)])
    assert "RGB" in contents.skipped[0].reason


@case("parts", "tiff")
def pages_of_one_size_from_two_detectors(folder: Path) -> None:
    path = folder / "a.tif"
    pages = (("BF", 5.0), ("HAADF", 0.02))
    with tifffile.TiffWriter(path) as file:
        for seed, (name, side) in enumerate(pages):
            tags = w.gatan([(side, "nm", 0.0)] * 2)
            file.write(w.counts(seed=seed), metadata=None, description=name, extratags=tags)
    _expect(path, [("BF", "BF", 5.0), ("HAADF", "HAADF", 0.02)])
    for seed, image in enumerate(read(path).pixels):
        np.testing.assert_array_equal(image, w.counts(seed=seed))


@case("parts", "tiff")
def a_stack_that_only_its_first_page_describes(folder: Path) -> None:
    tags = w.gatan([(0.02, "nm", 0.0), (0.02, "nm", 0.0), (2.0, "deg", -90.0)])
    tifffile.imwrite(folder / "a.tif", w.counts(w.STACK), extratags=tags, metadata=None,
                     photometric="minisblack")  # fmt: skip
    info = only(folder / "a.tif")
    assert (info.shape, info.pixel_size) == (w.STACK, (0.02, 0.02))
    assert (info.frame_step, info.frame_unit, info.frame_origin) == (2, "deg", -90)


@case("parts", "tiff")
def pages_of_fei_with_headers_of_their_own(folder: Path) -> None:
    path = folder / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for name, side in (("ETD", 5e-9), ("HAADF", 2e-11)):
            scan = {"PixelWidth": side, "PixelHeight": side}
            text = w.ini({"Scan": scan, "Detectors": {"Number": 1, "Name": name}})
            file.write(w.counts(), metadata=None, extratags=[w.text_tag(34682, text)])
    _expect(path, [("image 1, part 1", "ETD", 5.0), ("image 1, part 2", "HAADF", 0.02)])


def _expect(path: Path, expected: list[tuple[str, str, float]]):  # type: ignore[no-untyped-def]
    contents = read(path).info
    found = [(info.title, info.detector) for info in contents.signals]
    assert found == [(title, detector) for title, detector, _ in expected]
    for info, (_, _, side) in zip(contents.signals, expected, strict=True):
        assert info.pixel_size == pytest.approx((side, side), rel=1e-5)
    assert contents.default == len(expected) - 1
    return contents
