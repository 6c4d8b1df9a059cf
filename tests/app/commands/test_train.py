"""`reucid train`, from a survey's files to a denoised image."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reucid_core.classifier import load_classifier
from reucid_core.training.micrographs import aperiodic
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.recipes import Recipe, micrograph
from reucid_core.training.micrographs.simulate import FloatImage, View
from tests.conftest import REAL
from tests.support.commands import reucid

REALS = (
    "srtio3_osiris_512.tif",
    "haadf_scannoise_512.dm3",
    "si110_512.png",
    "rebco_roi_128.dm3",
    "pt_porph_single_atoms_512.tif",
)
SMALL = ("--threads", 1, "--processes", 1, "--epochs", 2)


def crystals(n: int) -> FloatImage:
    """A scanned crystal, at one of three doses."""
    view = View(shape=(72, 64), sampling=0.2, rotation=11.0 * n)
    crystal, dose = CRYSTALS[("Si[110]", "MgO[100]")[n // 3]], 10.0 ** (2 + n % 3)
    return micrograph(Recipe(specimen=crystal, view=view, dose=dose, seed=n)).noisy


def particles(n: int) -> FloatImage:
    """Particles on a ground, as a scanning electron microscope shows them: another modality."""
    scene = aperiodic.particles(n)[:72, :64]
    return aperiodic.noisy(scene, dose=10.0 ** (n % 3 - 1), next_pixel=0.0, seed=n)


def simulated(folder: Path, make: Callable[[int], FloatImage]) -> list[Path]:
    """Stand-ins of experimental images, at three doses."""
    files = [folder / f"image-{n}.tif" for n in range(6)]
    for n, file in enumerate(files):
        tifffile.imwrite(file, make(n).astype(np.float32))
    return files


def answers(files: list[Path], path: Path) -> Path:
    """Three respondents, who want more of the later images of each three."""
    lines = ["respondent,image,alpha"]
    for n, file in enumerate(files):
        lines += [f"{who},{file.name},{4 + 3 * (n % 3) + k}" for k, who in enumerate("abc")]
    path.write_text("\n".join(lines) + "\n")
    return path


def labels_of(files: list[Path], folder: Path) -> Path:
    labels = folder / "labels.safetensors"
    asked = folder / "survey"
    assert reucid("survey", "export", *files, "-o", asked, "--max-eigenpatches", 15) == 0
    given = answers(files, folder / "answers.csv")
    assert reucid("survey", "import", asked, given, "-o", labels) == 0
    return labels


@pytest.mark.parametrize("make", [crystals, particles])
def test_a_survey_alone_makes_a_classifier_that_denoises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[int], FloatImage]
) -> None:
    files = simulated(tmp_path, make)
    labels = labels_of(files, tmp_path)
    made = tmp_path / "weights"
    assert reucid("train", "paper", "--survey", labels, "--output", made, *SMALL) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "6 images are few" in told
    assert "micrograph 1 of" not in told
    card = load_classifier(made / "paper.safetensors").card
    assert card["labels"] == "a survey"
    assert "nothing was simulated" in (made / "README.md").read_text()
    weights, out, report = made / "paper.safetensors", tmp_path / "out.tif", tmp_path / "r.json"
    arguments = ("--method", "paper", "--model", weights, "--output", out, "--report", report)
    assert reucid("denoise", files[1], *arguments) == 0
    assert tifffile.imread(out).shape == (72, 64)
    assert json.loads(report.read_text())["model"].startswith("paper@sha256:")


def test_real_micrographs_teach_it_too(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip("no real micrographs")
    labels = labels_of([REAL / name for name in REALS], tmp_path)
    made = tmp_path / "weights"
    assert reucid("train", "paper", "--survey", labels, "--output", made, *SMALL) == 0
    card = load_classifier(made / "paper.safetensors").card
    assert card["specimens"] == sorted(REALS)
    assert card["images"] == {"training": 5, "validation": 5}


def test_two_of_each_crystal_are_enough(tmp_path: Path) -> None:
    arguments = ("--each", 2, "--output", tmp_path / "w", "--cache", tmp_path / "cache")
    assert reucid("train", "paper", *arguments, *SMALL) == 0
    card = load_classifier(tmp_path / "w" / "paper.safetensors").card
    assert card["images"] == {"training": 9, "validation": 9}
    assert "multislice" not in card["data"]
    assert card["limits"].startswith("Simulated micrographs")


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        (("--each", 0, "--invented", 0, "--multislice", 0), "neither simulated micrographs nor"),
        (("--invented", 1), "got 1 micrograph, expected at least 2"),
    ],
)
def test_nothing_to_learn_from_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stated: tuple[object, ...], reason: str
) -> None:
    arguments = ("--output", tmp_path / "w", "--cache", tmp_path / "cache")
    assert reucid("train", "paper", *stated, *arguments, *SMALL) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_training_needs_no_search(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "import reucid_core.training.laboratory\n"
        "from reucid_core.training.laboratory import options_of\n"
        "options_of('tuned', seed=0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
