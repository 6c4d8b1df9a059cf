"""The linked views: what they show is what the files hold."""

import csv
import itertools
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from tests.page.browsers import TIMES, Visit, gray, hann_power, levels

VIEWS = ("raw", "denoised", "residual")
PLACES = [(3, 3), (17, 200), (128, 128), (252, 251)]  # the very corners are round

EDGES = {"first row": 10, "first column": 20, "end row": 90, "end column": 140}

Numbers = dict[str, NDArray[Any]]


@pytest.fixture
def seen(visit: Visit, job: str) -> Visit:
    """The job's page, with all views drawn."""
    visit.go(f"#/job/{job}")
    for name in VIEWS:
        visit.wait_for(name)
    visit.page.wait_for_selector(".verdict[data-level]")
    return visit


def hover(visit: Visit, name: str, row: int, column: int, side: int = 256) -> None:
    """Point at a pixel of an image that is shown as a whole."""
    canvas = visit.page.locator(f"canvas[aria-label='{name}']")
    box = canvas.bounding_box()
    shown = min(box["width"], box["height"])
    x = box["width"] / 2 + ((column + 0.5) / side - 0.5) * shown
    y = box["height"] / 2 + ((row + 0.5) / side - 0.5) * shown
    canvas.hover(position={"x": x, "y": y})
    visit.drawn()


def test_the_values_under_the_cursor_are_those_of_the_files(seen: Visit, numbers: Numbers) -> None:
    for view, (row, column) in itertools.product(VIEWS, PLACES):
        hover(seen, view, row, column)
        assert f"row {row}, column {column}" in seen.value("place")
        for name in VIEWS:
            shown = float(seen.value(name).split()[-1])
            assert np.float32(shown) == numbers[name][row, column].astype(np.float32), name


def test_a_pixel_has_the_colour_of_its_value(seen: Visit, numbers: Numbers) -> None:
    for _ in range(12):
        seen.press("+")
    low, high = levels(seen)
    # The centre of the image is the corner of pixel (128, 128): a little beyond it is that pixel.
    for name in ("raw", "denoised"):
        expected = gray(float(numbers[name][128, 128]), low, high)
        assert np.abs(np.array(seen.colour(name, 0.51, 0.51)) - expected).max() <= 1, name
    half = (high - low) / 2
    expected = gray(float(numbers["residual"][128, 128]), -half, half)
    assert np.abs(np.array(seen.colour("residual", 0.51, 0.51)) - expected).max() <= 1


def test_all_views_zoom_and_pan_together(seen: Visit) -> None:
    raw = seen.page.locator("canvas[aria-label='raw']")
    box = raw.bounding_box()
    raw.hover(position={"x": 60, "y": 80})
    seen.page.mouse.wheel(0, -1200)
    seen.drawn()
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 110, box["y"] + 95)
    seen.page.mouse.up()
    seen.drawn()
    places = set()
    for name in VIEWS:
        seen.page.locator(f"canvas[aria-label='{name}']").hover(position={"x": 150, "y": 120})
        seen.drawn()
        places.add(seen.value("place"))
    assert len(places) == 1
    assert seen.page.locator("section[data-zoom]").get_attribute("data-zoom") != "1"


def test_the_wipe_shows_both_images(seen: Visit, numbers: Numbers) -> None:
    seen.press("w")
    seen.wait_for("wipe")
    for _ in range(16):
        seen.press("+")
    low, high = levels(seen)
    for edge, name in ((-3, "denoised"), (3, "raw")):
        for _ in range(3):
            seen.press("[" if edge < 0 else "]")
        expected = gray(float(numbers[name][128, 128]), low, high)
        assert np.abs(np.array(seen.colour("wipe", 0.502, 0.51)) - expected).max() <= 1
        for _ in range(3):
            seen.press("]" if edge < 0 else "[")
    seen.shot("wipe", whole=False)


def test_difference_and_flicker(seen: Visit, numbers: Numbers) -> None:
    seen.press("d")
    seen.wait_for("difference")
    for _ in range(16):
        seen.press("+")
    low, high = levels(seen)
    half = (high - low) / 2
    expected = gray(float(numbers["raw"][128, 128] - numbers["denoised"][128, 128]), -half, half)
    assert np.abs(np.array(seen.colour("difference", 0.502, 0.51)) - expected).max() <= 1
    seen.press("f")
    seen.wait_for("flicker")
    both = {gray(float(numbers[name][128, 128]), low, high) for name in ("raw", "denoised")}
    seen.page.wait_for_function(
        """both => {
          const canvas = document.querySelector("canvas[aria-label='flicker']");
          const at = [Math.floor(0.502 * canvas.width), Math.floor(0.51 * canvas.height)];
          const [shown] = canvas.getContext("2d").getImageData(...at, 1, 1).data;
          (window.seen ??= new Set()).add(shown);
          return both.every(each => [...window.seen].some(had => Math.abs(had - each) <= 1));
        }""",
        arg=sorted(both),
    )


def test_the_line_profile_is_numpys(seen: Visit, numbers: Numbers) -> None:
    seen.press("l")
    line = {"row 1": 20, "column 1": 30.5, "row 2": 200, "column 2": 150}
    for label, value in line.items():
        seen.page.get_by_label(label, exact=True).fill(str(value))
        seen.page.keyboard.press("Enter")
        seen.drawn()
    seen.page.get_by_label("width", exact=True).fill("3")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_selector("[data-measured='20,30.5,200,150,3'] .uplot")
    with seen.page.expect_download() as waited:
        seen.page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(waited.value.path().read_text().splitlines()))
    r0, c0, r1, c1 = line.values()
    length = np.hypot(r1 - r0, c1 - c0)
    share = np.linspace(0, 1, round(length) + 1)
    across = np.array([-1, 0, 1])[:, None]
    sampled_rows = r0 + share * (r1 - r0) + across * (c1 - c0) / length
    sampled_columns = c0 + share * (c1 - c0) - across * (r1 - r0) / length
    assert len(rows) == len(share)
    for name in VIEWS:
        image = numbers[name].astype(np.float64)
        expected = map_coordinates(image, [sampled_rows, sampled_columns], order=1).mean(0)
        np.testing.assert_allclose(
            [float(row[name]) for row in rows], expected, rtol=1e-6, atol=1e-3
        )


def test_the_spectrum_is_numpys(seen: Visit, numbers: Numbers) -> None:
    seen.press("t")
    seen.page.get_by_label("closer").uncheck()
    canvas = seen.page.locator("canvas[aria-label='spectrum of denoised']")
    canvas.wait_for()
    seen.page.wait_for_function(
        "() => document.querySelector(\"canvas[aria-label='spectrum of denoised']\").width === 256"
    )
    box = canvas.bounding_box()
    for row, column in ((128 + 10, 128 + 20), (40, 200), (128, 128 - 17)):
        canvas.hover(
            position={
                "x": (column + 0.5) * box["width"] / 256,
                "y": (row + 0.5) * box["height"] / 256,
            }
        )
        note = seen.page.locator("[data-part='spectrum'] [role='status']")
        for name in VIEWS:
            expected = hann_power(numbers[name].astype(np.float64))[row, column]
            shown = note.locator(f"[data-value='{name}']").inner_text()
            assert float(shown.split()[-1]) == pytest.approx(expected, abs=2e-3), name
    seen.shot("spectrum")


def test_the_statistics_of_a_region_are_numpys(seen: Visit, numbers: Numbers) -> None:
    seen.press("r")
    region = [64, 64, 192, 192]  # what is marked to begin with
    for position, (label, value) in enumerate(EDGES.items()):
        region[position] = value
        seen.page.get_by_label(label).fill(str(value))
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector(f"[data-measured='{','.join(map(str, region))}']")
    seen.page.get_by_text(f"80 {TIMES} 120 px").wait_for()
    for name in VIEWS:
        row = seen.page.locator("#measured tr", has=seen.page.get_by_role("rowheader", name=name))
        shown = [float(each) for each in row.locator("td").all_inner_texts()]
        part = numbers[name][10:90, 20:140].astype(np.float64)
        expected = [part.mean(), part.std(), part.min(), part.max(), np.median(part)]
        np.testing.assert_allclose(shown, expected, rtol=2e-5, atol=1e-4)


def test_a_spot_of_one_frequency_is_seen(visit: Visit, api: httpx.Client, tmp_path: Path) -> None:
    """A drawn spectrum has fewer pixels than a large one has frequencies."""
    side, down, across = 512, 41, 53
    rows, columns = np.indices((side, side))
    wave = np.cos(2 * np.pi * (down * rows + across * columns) / side)
    path = tmp_path / "wave.npy"
    np.save(path, np.random.default_rng(1).poisson(60 + 20 * wave).astype(np.uint16))
    with path.open("rb") as file:
        image = api.post("/images", files={"file": file}).raise_for_status().json()["id"]
    visit.go(f"#/image/{image}")
    visit.wait_for("raw")
    visit.press("0")
    visit.press("t")
    visit.page.get_by_label("closer").uncheck()
    visit.page.get_by_label("peaks of the lattice").uncheck()
    visit.page.wait_for_selector("canvas[aria-label='spectrum of raw'][width='256']")
    red = visit.page.evaluate(
        """([down, across]) => {
          const canvas = document.querySelector("canvas[aria-label='spectrum of raw']");
          return canvas.getContext("2d").getImageData(across, down, 1, 1).data[0];
        }""",
        [128 + down // 2, 128 + across // 2],
    )
    assert red > 200


def test_the_histogram_of_whole_numbers_is_no_comb(
    visit: Visit, api: httpx.Client, tmp_path: Path
) -> None:
    path = tmp_path / "levels.npy"
    np.save(path, np.random.default_rng(1).integers(10, 50, (128, 128), np.uint16))
    with path.open("rb") as file:
        image = api.post("/images", files={"file": file}).raise_for_status().json()["id"]
    visit.go(f"#/image/{image}")
    visit.wait_for("raw")
    empty = """() => {
      const canvas = document.querySelector(".histogram canvas");
      const { width, height } = canvas;
      const row = canvas.getContext("2d").getImageData(0, height >> 1, width, 1).data;
      return Array.from({ length: width }, (_, x) => row[4 * x + 3]).slice(0.2 * width, 0.8 * width)
        .filter(opaque => !opaque).length;
    }"""
    visit.page.wait_for_function(f"() => ({empty})() === 0")


def test_the_views_fill_the_screen_and_are_saved(seen: Visit) -> None:
    with seen.page.expect_download() as waited:
        seen.page.get_by_role("button", name="Picture").click()
    with Image.open(waited.value.path()) as picture:
        width, height = picture.size
    sizes = [
        seen.page.locator(f"canvas[aria-label='{name}']").evaluate("c => [c.width, c.height]")
        for name in VIEWS
    ]
    assert width == sum(each[0] for each in sizes) + 16
    assert height > sizes[0][1]
    seen.press("e")
    seen.page.wait_for_function("() => document.fullscreenElement !== null")
    seen.shot("full-screen", whole=False)
    seen.press("e")
    seen.page.wait_for_function("() => document.fullscreenElement === null")


def test_levels_and_colours_change_the_picture_alone(seen: Visit, numbers: Numbers) -> None:
    before = seen.colour("raw", 0.5, 0.5)
    seen.page.get_by_role("slider", name="Black level").focus()
    for _ in range(20):
        seen.press("ArrowRight")
    seen.press("c")
    assert seen.colour("raw", 0.5, 0.5) != before
    hover(seen, "raw", 128, 128)
    assert float(seen.value("raw").split()[-1]) == numbers["raw"][128, 128]
