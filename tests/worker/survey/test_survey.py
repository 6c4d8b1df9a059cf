"""A survey's folder, its page and its answers."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from reucid_core import DenoiseParams, denoise
from reucid_core.errors import ImageError, SurveyError
from reucid_core.training.labels.survey_files import load_decomposition, load_survey
from worker.denoising.selection import Selection
from worker.store import sha256_of
from worker.survey import manifest
from worker.survey.answers import read_answers
from worker.survey.collect import collect
from worker.survey.export import export
from worker.survey.groups import grouped
from worker.survey.manifest import Manifest

MOST = 6


@pytest.fixture(scope="module")
def lattice() -> NDArray[np.uint16]:
    y, x = np.mgrid[:64, :80]
    waves = (1 + np.cos(2 * np.pi * x / 11)) * (1 + np.cos(2 * np.pi * y / 9))
    return np.random.default_rng(7).poisson(20 * waves + 40).astype(np.uint16)


@pytest.fixture(scope="module")
def files(lattice: NDArray[np.uint16], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("micrographs")
    paths = [folder / "first.tif", folder / 'a "quoted" <name>.npy']
    tifffile.imwrite(paths[0], lattice)
    np.save(paths[1], lattice.astype(np.float32) / 3)
    return paths


def exported(files: list[Path], folder: Path, *, blind: bool = False, seed: int = 0) -> Manifest:
    return export(
        files,
        folder,
        selection=Selection(),
        patch_size=7,
        most=MOST,
        blind=blind,
        seed=seed,
        progress=lambda _: None,
    )


@pytest.fixture(scope="module")
def folder(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey with its options in random order."""
    made = tmp_path_factory.mktemp("surveys") / "survey"
    exported(files, made, blind=True, seed=1)
    return made


def page_data(folder: Path) -> dict[str, object]:
    text = (folder / "page" / "index.html").read_text()
    found = re.search(r"const survey = (.*);\n", text)
    assert found
    data: dict[str, object] = json.loads(found[1])
    return data


def test_folder_holds_what_labels_need(folder: Path, files: list[Path]) -> None:
    about = manifest.load(folder)
    assert (about.blind, about.seed) == (True, 1)
    assert {"reucid", "numpy", "scipy"} <= about.versions.keys()
    assert [entry.image for entry in about.images] == [file.name for file in files]
    for n, (entry, file) in enumerate(zip(about.images, files, strict=True), start=1):
        assert entry.sha256 == sha256_of(file)
        assert (entry.shape, entry.patch_size, entry.components) == ((64, 80), 7, 49)
        assert sorted(entry.order) == list(range(1, MOST + 1))
        decomposition = load_decomposition(folder / manifest.decomposition_of(n))
        assert decomposition.eigenpatches.shape == (49, 7, 7)
        assert decomposition.n_patches == 58 * 74
    assert about.images[0].order != about.images[1].order


def test_options_are_reconstructions_in_one_stretch(
    folder: Path, lattice: NDArray[np.uint16]
) -> None:
    entry = manifest.load(folder).images[0]
    low, high = entry.shown
    assert np.array_equal(tifffile.imread(folder / "images/01/noisy.tif"), lattice)
    for position, alpha in enumerate(entry.order, start=1):
        result = denoise(
            lattice,
            DenoiseParams(method="paper", patch_size=7),
            classify=lambda d, alpha=alpha: np.arange(len(d.eigenpatches)) < alpha,
        )
        image = tifffile.imread(folder / f"images/01/alpha-{alpha:02d}.tif")
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, result.image.astype(np.float32))
        shown = np.asarray(Image.open(folder / f"page/01/option-{position:02d}.png"))
        expected = np.clip((image - low) / (high - low) * 255, 0, 255)
        assert np.abs(shown - expected).max() <= 1


def test_page_needs_nothing_from_elsewhere(folder: Path) -> None:
    text = (folder / "page" / "index.html").read_text()
    assert not re.search(r"https?://|//cdn|@import|url\(|fetch\(|XMLHttpRequest", text)
    data = page_data(folder)
    images = data["images"]
    assert isinstance(images, list)
    for n, image in enumerate(images):
        order = manifest.load(folder).images[n].order
        assert [option["alpha"] for option in image["options"]] == order
        for name in (image["noisy"], *(option["picture"] for option in image["options"])):
            assert (folder / "page" / name).is_file()
    assert images[1]["image"] == 'a "quoted" <name>.npy'
    assert "<name>" not in text  # would be a tag


def test_the_seed_orders_the_options(files: list[Path], folder: Path, tmp_path: Path) -> None:
    again = exported(files[:1], tmp_path / "again", blind=True, seed=1)
    other = exported(files[:1], tmp_path / "other", blind=True, seed=2)
    plain = exported(files[:1], tmp_path / "plain")
    first = manifest.load(folder).images[0]
    assert again.images[0] == first
    assert other.images[0].order != first.order
    assert plain.images[0].order == list(range(1, MOST + 1))
    for one in ("page/01/option-03.png", "images/01/alpha-02.tif"):
        assert (tmp_path / "again" / one).read_bytes() == (folder / one).read_bytes()


def test_a_folder_with_contents_is_left_alone(files: list[Path], folder: Path) -> None:
    before = (folder / manifest.MANIFEST).read_bytes()
    with pytest.raises(SurveyError, match="expected a new folder"):
        exported(files, folder)
    assert (folder / manifest.MANIFEST).read_bytes() == before


def test_nothing_is_left_when_an_image_cannot_be_used(files: list[Path], tmp_path: Path) -> None:
    stack = tmp_path / "stack.npy"
    np.save(stack, np.ones((3, 40, 40), np.float32))
    with pytest.raises(ImageError, match=r"stack\.npy: got a stack of 3 frames"):
        exported([files[0], stack], tmp_path / "out" / "survey")
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(SurveyError, match=r"got 2 files named first\.tif"):
        exported([files[0], files[0]], tmp_path / "survey")


def written(path: Path, *rows: str, header: str = "respondent,image,alpha") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_answers_become_labels(folder: Path, tmp_path: Path) -> None:
    one = written(tmp_path / "one.csv", "anna,first.tif,3", 'anna,"a ""quoted"" <name>.npy",6')
    two = written(tmp_path / "two.csv", "4,first.tif,ben", header="alpha,image,respondent")
    output = tmp_path / "labels.safetensors"
    collected = collect(folder, [one, two], output)
    first, second = load_survey(output)
    assert (first.image, first.alpha, first.respondents) == ("first.tif", 3.5, 2)
    assert first.spread == pytest.approx(0.5**0.5)
    assert (int(first.labels.sum()), int(second.labels.sum())) == (4, 6)
    assert (second.alpha, second.respondents) == (6.0, 1)
    stored = load_decomposition(folder / manifest.decomposition_of(1))
    np.testing.assert_array_equal(first.decomposition.eigenpatches, stored.eigenpatches)
    assert [each.choice.kept for each in collected if each.choice] == [4, 6]


def test_images_without_answers_are_left_out(folder: Path, tmp_path: Path) -> None:
    answers = written(tmp_path / "one.csv", "anna,first.tif,3")
    output = tmp_path / "labels.safetensors"
    collected = collect(folder, [answers], output)
    assert [each.choice is None for each in collected] == [False, True]
    assert [each.image for each in load_survey(output)] == ["first.tif"]
    with pytest.raises(SurveyError, match="got no answers in 1 files"):
        collect(folder, [written(tmp_path / "none.csv")], output)


KINDS = "respondent,image,alpha,kind"
BAD = {
    "semicolons": ("respondent;image;alpha", ["a;i;1"], "line 1: got the columns resp"),
    "a column is missing": ("respondent,image", ["a,i"], "expected respondent, image, alpha"),
    "a column twice": ("respondent,image,alpha,alpha", ["a,i,1,2"], "line 1: got the columns"),
    "no respondent": ("", ["anna,i,1", " ,i,1"], "line 3: got no respondent"),
    "an unknown image": ("", ["anna,j,1"], "line 2: got the image 'j', expected one of i"),
    "none": ("", ["anna,i,0"], "line 2: got alpha '0' for i, expected an integer from 1 to 9"),
    "too many": ("", ["anna,i,10"], "got alpha '10' for i, expected an integer from 1 to 9"),
    "a fraction": ("", ["anna,i,3.5"], "got alpha '3.5'"),
    "a short line": ("", ["anna,i"], "line 2: got alpha ''"),
    "answered twice": ("", ["a,i,1", "b,i,1", "a,i,2"], "line 4: got a second answer of 'a' to i"),
    "an unknown kind": (KINDS, ["a,i,1,boss"], "got the kind 'boss', expected expert or other"),
    "two kinds of one": (KINDS, ["a,i,1,expert", "a,j,1,other"], "got the kind 'other' for 'a'"),
    "kind twice": (f"{KINDS},kind", ["a,i,1,,"], "got the column kind twice"),
    "a quote that never ends": ("", ['"anna,i,1'], "after line 1: unexpected end of data"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_answers_are_refused_with_their_line(case: str, tmp_path: Path) -> None:
    header, rows, message = BAD[case]
    file = written(tmp_path / "bad.csv", *rows, header=header or "respondent,image,alpha")
    with pytest.raises(SurveyError, match=re.escape(message)) as refused:
        read_answers([file], {"i": 9} | ({"j": 9} if "kinds" in case else {}))
    assert str(file) in str(refused.value)


def test_answers_from_spreadsheets_are_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_bytes(b"\xef\xbb\xbfrespondent,image,alpha,when\r\nanna, i ,3,monday\r\n\r\n")
    (answer,) = read_answers([file], {"i": 9})
    assert (answer.respondent, answer.image, answer.alpha) == ("anna", "i", 3)
    file.write_bytes("respondent,image,alpha\nJürgen,i,3\n".encode("latin-1"))
    with pytest.raises(SurveyError, match="expected text in UTF-8"):
        read_answers([file], {"i": 9})


def test_kinds_are_read_and_summarised(folder: Path, tmp_path: Path) -> None:
    rows = ("anna,first.tif,3,Expert", "ben,first.tif,6,other", "cleo,first.tif,5,")
    answers = written(tmp_path / "kinds.csv", *rows, header=KINDS)
    first, _ = collect(folder, [answers], tmp_path / "labels.safetensors")
    (group, _) = grouped([first, first])
    assert group.answers == {"expert": {"anna": [3]}, "other": {"ben": [6]}}
    assert first.choice is not None
    assert (first.choice.respondents, first.choice.kept) == (3, 5)  # all of them are the label


def test_a_changed_or_missing_folder_is_refused(files: list[Path], tmp_path: Path) -> None:
    made = tmp_path / "survey"
    exported(files[:1], made)
    answers = written(tmp_path / "one.csv", "anna,first.tif,3")
    output = tmp_path / "labels.safetensors"
    stored = made / manifest.decomposition_of(1)
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    with pytest.raises(SurveyError, match="not the file that was exported"):
        collect(made, [answers], output)
    stored.unlink()
    with pytest.raises(SurveyError, match="the survey's folder is incomplete"):
        collect(made, [answers], output)
    (made / manifest.MANIFEST).write_text('{"version": 1, "blind": 3}')
    with pytest.raises(SurveyError, match="damaged at"):
        collect(made, [answers], output)
    with pytest.raises(SurveyError, match="expected the folder that"):
        collect(tmp_path, [answers], output)
    assert not output.exists()
