import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.crystals import CRYSTALS, Site
from reucid_core.training.micrographs.drawing import draw_recipes, paper_recipes
from reucid_core.training.micrographs.fields import DEFECTS, DOPED, PERFECT
from reucid_core.training.micrographs.materials import MATERIALS
from reucid_core.training.micrographs.recipes import (
    PointDefect,
    Recipe,
    micrograph,
    pristine,
)
from reucid_core.training.micrographs.rendering import nearest_change, render, sample
from reucid_core.training.micrographs.simulate import FloatImage, View, simulate
from reucid_core.training.micrographs.structures import Structure, rms_displacement

EVERY = [(name, variant) for name in fields.materials() for variant in fields.variants(name)]
SHARP = 0.1  # angstrom: a view that adds nothing to the simulated probe


def fine(name: str) -> tuple[FloatImage, float]:
    """A cell's image at 0.05 A/px from the cell's corner, and the sampling."""
    array, period = fields.image(fields.field(name))
    y, x = (np.arange(0, side, 0.05) for side in period)
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    return sample(array, period, places), 0.05


def at(name: str, *places: tuple[float, float]) -> list[float]:
    """Intensity at places in fractions of the cell."""
    array, period = fields.image(fields.field(name))
    return [float(each) for each in sample(array, period, np.multiply(places, period))]


def maxima(image: FloatImage, *, apart: float, sampling: float) -> int:
    """Local maxima above a tenth of the range, in a periodic image."""
    size = 2 * round(apart / sampling / 2) + 1
    highest = scipy.ndimage.maximum_filter(image, size=size, mode="wrap")
    above = image > image.min() + 0.1 * np.ptp(image)
    return int(((image == highest) & above).sum())


def test_ten_materials_or_more_with_those_of_the_paper() -> None:
    assert {"Si[110]", "SrTiO3[100]", "graphene", "BaNdTiO[001]"} <= set(fields.materials())
    assert set(fields.materials()) == set(MATERIALS)
    assert len(MATERIALS) >= 10
    assert sum("boundary" in fields.variants(name) for name in MATERIALS) >= 2
    assert sum("amorphous" in fields.variants(name) for name in MATERIALS) >= 2
    assert sum(path.stat().st_size for path in fields.FOLDER.iterdir()) < 10e6


@pytest.mark.parametrize("name", MATERIALS)
def test_files_hold_what_their_parameters_say(name: str) -> None:
    found = fields.contents(name)
    about = found.parameters
    assert (about["name"], about["family"]) == (name, MATERIALS[name].family)
    assert about["abtem"]
    assert {el: round(rms_displacement(b), 4) for el, b in MATERIALS[name].b_factors.items()} == (
        about["rms_displacements"]
    )
    wavelength = found.probe * 1e-3 * about["optics"]["semiangle"] / 0.5145
    for variant, each in found.images.items():
        how = about["fields"][variant]
        assert np.isfinite(each).all()
        assert 0 < each.min() < each.max() < 1
        assert how["configurations"] >= 2
        # Sampled beyond the band limit of the image, 2 alpha / lambda.
        step = np.divide(found.periods[variant], each.shape)
        assert (step < wavelength / (4e-3 * about["optics"]["semiangle"])).all()
        assert how["slice_thickness"] <= MATERIALS[name].cell.sides[2] / 2 + 1e-9 or (
            how["thickness"] <= 5  # a single layer
        )
    assert set(found.stamps) == {defect.name for defect in MATERIALS[name].defects}
    assert json.loads(json.dumps(about)) == about


def projected_sites(cell: Structure) -> set[Site]:
    """Fractional y and x, rounded, and element of every atom."""
    fractions = np.round(cell.positions[:, :2] / cell.sides[:2], 6) % 1
    return {
        (float(y), float(x), str(element))
        for (y, x), element in zip(fractions, cell.elements, strict=True)
    }


@pytest.mark.parametrize("name", CRYSTALS)
def test_cells_in_space_project_to_the_crystals(name: str) -> None:
    """GaN and MgO have cells twice as wide, PbTiO3 and Pt are not among the crystals."""
    cell = MATERIALS[name].cell
    times = np.rint(np.divide(cell.sides[:2], CRYSTALS[name].cell))
    expected = {
        (round(y % 1, 3), round(x % 1, 3), element) for y, x, element in CRYSTALS[name].sites
    }
    projected = {
        (round(y * times[0] % 1, 3) % 1, round(x * times[1] % 1, 3) % 1, element)
        for y, x, element in projected_sites(cell)
    }
    assert projected == expected
    assert MATERIALS[name].family == CRYSTALS[name].family


def _proportion(name: str) -> float:
    height, width = fields.image(fields.field(name))[1]
    return height / width


def _unit_cell(name: str) -> FloatImage:
    """Of mean 0 and norm 1, on a grid of its own fractions."""
    cell, _ = fields.image(fields.field(name))
    grid = [np.arange(48)[:, None] * cell.shape[0] / 48, np.arange(48) * cell.shape[1] / 48]
    places = np.broadcast_arrays(*grid)
    resampled: FloatImage = scipy.ndimage.map_coordinates(cell, places, order=1, mode="grid-wrap")
    resampled -= resampled.mean()
    return resampled / np.linalg.norm(resampled)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (one, other)
        for one, other in itertools.combinations(fields.materials(), 2)
        if _proportion(one) == pytest.approx(_proportion(other), rel=0.06)
    ],
)
def test_materials_of_one_family_look_alike_and_others_do_not(one: str, other: str) -> None:
    """Else leaving a family out would leave its likes in."""
    spectrum = np.fft.rfft2(_unit_cell(one)) * np.fft.rfft2(_unit_cell(other)).conj()
    alike = np.fft.irfft2(spectrum).max() > 0.85
    assert alike == (fields.field(one).family == fields.field(other).family)


@pytest.mark.parametrize(
    ("name", "columns", "apart"),
    [
        ("Si[110]", 4, 1.0),
        ("SrTiO3[100]", 2, 1.5),
        ("graphene", 4, 1.0),
        ("WSe2[0001]", 4, 1.0),
        ("MgO[100]", 4, 1.5),
        ("CeO2[110]", 2, 1.5),
        ("GaN[11-20]", 4, 1.5),
        ("GaAs[110]", 4, 1.0),
        ("Pt[110]", 2, 1.5),
        ("PbTiO3[100]", 2, 1.5),
    ],
)
def test_columns_are_maxima(name: str, columns: int, apart: float) -> None:
    image, sampling = fine(name)
    assert maxima(image, apart=apart, sampling=sampling) == columns


def test_silicon_dumbbells_are_a_quarter_of_the_lattice_constant_long() -> None:
    image, sampling = fine("Si[110]")
    profile = image[:, 0]  # of the two atoms above each other at x = 0
    first = int(np.argmax(np.roll(profile, 10)[:20])) - 10
    second = int(np.argmax(profile[17:40])) + 17
    assert (second - first) * sampling == pytest.approx(5.431 / 4, abs=0.1)


def test_heavier_columns_are_brighter() -> None:
    strontium, titanium, oxygen = at("SrTiO3[100]", (0, 0), (0.5, 0.5), (0.5, 0))
    assert strontium > 1.5 * titanium > 3 * oxygen
    tungsten, selenium = at("WSe2[0001]", (0, 0), (1 / 3, 0))
    assert tungsten > selenium > 0.4 * tungsten  # two selenium atoms
    gallium, arsenic = at("GaAs[110]", (0, 0), (0.25, 0))
    assert gallium < arsenic * 1.02
    cerium, oxygen = at("CeO2[110]", (0, 0), (0.25, 0))
    assert cerium > 10 * oxygen


HEAVY = ("BaNdTiO[001]", "CeO2[110]", "PbTiO3[100]", "Pt[110]")


@pytest.mark.parametrize("name", MATERIALS)
def test_defects_change_their_column_as_much_as_their_atoms_scatter(name: str) -> None:
    """The exponent of Z lies between 1.4 and 2.1, and channelling hides a part of a column.

    In a heavy column the first atoms scatter most of what channels: a change of some shows less.
    """
    found = fields.contents(name)
    for stamp in found.stamps.values():
        before = at(name, stamp.site)[0]
        change = float(sample(stamp.change, stamp.sides, np.array(stamp.place)))
        assert np.sign(stamp.change.sum()) == np.sign(stamp.gain - 1)
        least = 0.0 if name in HEAVY and stamp.gain > 0 else 0.55
        assert least - 1e-3 <= change / before / (stamp.gain - 1) <= 1.45
        # Far from the defect nothing changes.
        far = np.add(stamp.place, np.divide(stamp.sides, 2))
        assert abs(float(sample(stamp.change, stamp.sides, far))) < 0.03 * before


@given(
    rows=st.integers(9, 20),
    columns=st.integers(9, 20),
    height=st.floats(2.0, 6.0),
    width=st.floats(2.0, 6.0),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=25, deadline=None)
def test_interpolation_is_that_of_the_periodic_function(
    rows: int, columns: int, height: float, width: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ky, kx = rng.integers(-3, 4, (2, 5))
    amplitude, phase = rng.normal(size=5), rng.uniform(0, 2 * np.pi, 5)

    def function(places: FloatImage) -> FloatImage:
        angle = 2 * np.pi * (places[..., :1] * ky / height + places[..., 1:] * kx / width) + phase
        values: FloatImage = (amplitude * np.cos(angle)).sum(axis=-1)
        return values

    grid = np.moveaxis(np.indices((rows, columns)), 0, -1) * (height / rows, width / columns)
    places = rng.uniform(-20, 20, (200, 2))
    interpolated = sample(function(grid), (height, width), places)
    np.testing.assert_allclose(interpolated, function(places), atol=1e-4 * np.abs(amplitude).sum())


def test_blur_is_that_of_a_gaussian() -> None:
    y = np.arange(12) / 12 * 3.0
    wave = np.cos(2 * np.pi * y / 3.0)[:, None] * np.ones(9)
    places = np.stack([np.linspace(0, 3, 7), np.zeros(7)], axis=-1)
    blurred = sample(wave, (3.0, 2.0), places, blur=np.diag([0.2, 0.7]))
    expected = np.exp(-2 * np.pi**2 * 0.2 / 9) * np.cos(2 * np.pi * places[:, 0] / 3)
    np.testing.assert_allclose(blurred, expected, atol=1e-6)


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_render_is_normalised_to_its_peak(name: str, variant: str) -> None:
    view = View(shape=(48, 40), sampling=0.25, rotation=20, background=0.2, fwhm=0.9)
    image = render(fields.field(name, variant), view)
    assert image.shape == (48, 40)
    assert image.max() == pytest.approx(1.0)
    assert image.min() >= 0.2 / 1.2 - 1e-12


@pytest.mark.parametrize("name", MATERIALS)
def test_a_shift_by_a_whole_period_changes_nothing(name: str) -> None:
    field = fields.field(name, DEFECTS)
    view = View(shape=(40, 40), sampling=0.2, rotation=31, shift=(0.3, 0.1))
    moved = replace(view, shift=(1.3, -0.9))
    np.testing.assert_allclose(render(field, view), render(field, moved), atol=1e-9)


def test_a_quarter_turn_turns_the_image() -> None:
    field = fields.field("GaN[11-20]")
    upright = View(shape=(64, 64), sampling=0.2, fwhm=SHARP)
    turned = replace(upright, rotation=90)
    # The centre of rotation is pixel (32, 32): the first row and column have no counterpart.
    before, after = (render(field, view)[1:, 1:] for view in (upright, turned))
    np.testing.assert_allclose(np.rot90(before), after, atol=1e-3)


@pytest.mark.parametrize("name", ["Si[110]", "SrTiO3[100]", "CeO2[110]", "GaN[11-20]"])
def test_columns_lie_where_those_of_the_crystal_do(name: str) -> None:
    """Rotation, strain and drift act on fields as on crystals."""
    view = View(
        shape=(160, 160),
        sampling=0.2,
        fwhm=1.0,
        rotation=23,
        strain=(0.02, -0.01, 0.015),
        drift=(0.03, -0.02),
    )
    incoherent, multislice = simulate(CRYSTALS[name], view), render(fields.field(name), view)
    assert np.corrcoef(incoherent.ravel(), multislice.ravel())[0, 1] > 0.95


def test_a_wider_probe_blurs() -> None:
    field = fields.field("Si[110]")
    views = [View(shape=(64, 64), sampling=0.1, fwhm=fwhm) for fwhm in (SHARP, 0.5, 0.8, 1.2)]
    images = [render(field, view) for view in views]
    contrasts = [image.std() / image.mean() for image in images]
    assert contrasts[0] == contrasts[1] > contrasts[2] > contrasts[3]


def test_thickness_ramp_ends_the_crystal() -> None:
    view = View(shape=(64, 128), sampling=0.2, ramp=4.0)
    image = render(fields.field("Si[110]"), view)
    assert image[:, :24].max() < 1e-3 < image[:, 64:].mean()


@pytest.mark.parametrize("name", MATERIALS)
def test_defects_are_two_and_far_apart(name: str) -> None:
    field = fields.field(name, DEFECTS)
    _, period = fields.image(field)
    assert min(period) >= 20
    view = View(shape=(256, 256), sampling=0.2, rotation=17)
    recipe = Recipe(specimen=field, view=view, dose=1000.0, black_level=0.1)
    change = micrograph(recipe).specimen - pristine(recipe)
    assert 0 < (np.abs(change) > 0.2 * np.abs(change).max()).mean() < 0.02
    assert change.min() < 0  # something is missing


def test_point_defects_of_a_field_are_where_they_should_be() -> None:
    for name in MATERIALS:
        field = fields.field(name)
        recipe = paper_recipes(field, 1, patch_sizes=(11,), seed=1)[0]
        defects = (PointDefect(0.31, 0.33, 0.0), PointDefect(0.67, 0.64, 0.5))
        change = micrograph(recipe, defects).specimen - pristine(recipe, defects)
        np.testing.assert_allclose(
            micrograph(recipe).specimen, pristine(recipe, defects), atol=1e-4
        )
        for each in defects:
            y, x = np.indices(change.shape)
            near = np.hypot(y - each.y * 256, x - each.x * 256) < 50  # 10 A: bronzes are wide
            assert change[near].min() < -0.1 * (1 - each.gain)
        assert np.abs(change).sum() < 1e-2 * change.size


def test_random_defects_follow_the_recipe() -> None:
    field = fields.field("SrTiO3[100]")
    recipe = paper_recipes(field, 1, seed=3)[0]
    none, many = (replace(recipe, vacancies=share) for share in (0.0, 0.3))
    lost = pristine(many).mean() - micrograph(many).specimen.mean()
    assert lost > 0.05 * pristine(none).mean()
    doped = replace(recipe, dopants=0.2, dopant_gain=2.0)
    assert micrograph(doped).specimen.mean() > pristine(doped).mean()


def test_recipes_of_fields_are_drawn_of_every_material() -> None:
    drawn = draw_recipes(1, 2, 3, seed=0)
    names = [recipe.specimen.name for recipe in drawn["multislice"]]
    assert sorted(names) == sorted(3 * [*MATERIALS])
    without = draw_recipes(1, 2, seed=0)
    assert (without["crystals"], without["invented"]) == (drawn["crystals"], drawn["invented"])
    assert without["multislice"] == []
    assert draw_recipes(0, 0, 3, seed=0)["multislice"] == drawn["multislice"]


def test_a_field_is_told_by_its_files_content() -> None:
    field = fields.field("graphene", DOPED)
    assert repr(field) == (
        f"Field(name='graphene', family='honeycomb', variant='doped', digest='{field.digest}')"
    )
    with pytest.raises(ValueError, match="got a file"):
        fields.image(replace(field, digest="0" * 12))
    with pytest.raises(ValueError, match="got variant 'none', expected one of"):
        fields.field("graphene", "none")
    with pytest.raises(ValueError, match="got material 'Fe', expected one of"):
        fields.field("Fe")
    with pytest.raises(ValueError, match="expected 'perfect'"):
        nearest_change(field, View(shape=(9, 9), sampling=0.2), (0, 0), 0.0)
    assert fields.field("graphene").variant == PERFECT
