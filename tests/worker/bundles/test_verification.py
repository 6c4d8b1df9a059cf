"""What `reucid verify` finds, and that nothing a stranger packs does any harm."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pydantic import TypeAdapter

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import load_classifier
from reucid_core.replay import replay
from reucid_core.report import Report
from tests.support.bundles import (
    BUNDLED,
    Content,
    changed_array,
    changed_report,
    contents,
    forge,
    npy,
    npz,
    pack,
)
from tests.support.models import write_model
from worker import local
from worker.bundles import archive
from worker.bundles.archive import ArchiveError
from worker.bundles.bundle import budget
from worker.bundles.verification import Verification, verify
from worker.denoising.model_choice import ModelChoice
from worker.denoising.model_files import Models
from worker.denoising.params import JobParams

KINDS = [*BUNDLED]


def verdicts(found: Verification) -> dict[str, bool | None]:
    return {check.name: check.holds for check in found.checks}


def problems(found: Verification, name: str) -> str:
    return "\n".join(next(check.problems for check in found.checks if check.name == name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_is_verified(kind: str, bundles: dict[str, Path]) -> None:
    found = verify(bundles[kind])
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": True}
    assert found.verified
    measured = {name: value for check in found.checks for name, value in check.deviations.items()}
    assert measured.keys() == {
        *("result.npy", "result.tif", "residual.tif", "singular values", "utilities")
    }
    for check in found.checks:
        assert all(check.deviations[name] <= check.tolerances[name] for name in check.deviations)


def test_a_bundle_of_another_processor_is_verified(bundles: dict[str, Path]) -> None:
    """Whose linear algebra has other kernels, which round otherwise."""
    command = [sys.executable, "-m", "app", "verify", str(bundles["stacked"]), "--json"]
    other = os.environ | {"OPENBLAS_CORETYPE": "Nehalem"}
    said = subprocess.run(command, env=other, capture_output=True, text=True, check=False)
    assert json.loads(said.stdout)["verified"] is True, said


def test_a_bundle_zipped_anew_is_verified(bundles: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as again:
        for name, content in reversed(contents(bundles["exact"]).items()):
            again.writestr(name, content)
    assert verify(tmp_path / "b.zip", rerun=False).verified


def test_a_flipped_byte_of_any_file_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    whole = bundles["exact"].read_bytes()
    with zipfile.ZipFile(bundles["exact"]) as opened:
        entries = opened.infolist()
    for entry in entries:
        flipped = bytearray(whole)
        flipped[entry.header_offset + 30 + len(entry.filename) + entry.file_size // 2] ^= 1
        (tmp_path / "b.zip").write_bytes(flipped)
        found = verify(tmp_path / "b.zip", rerun=False)
        assert verdicts(found)["checksums"] is False
        assert f"{entry.filename} is damaged" in problems(found, "checksums")


def test_a_changed_file_of_any_name_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    """Its zip is sound; only the checksums speak against it."""
    original = contents(bundles["stopped early"])
    for name in original.keys() - {"SHA256SUMS"}:
        pack(tmp_path / "b.zip", original | {name: original[name] + b"\n"})
        found = verify(tmp_path / "b.zip", rerun=False)
        assert verdicts(found)["checksums"] is False
        assert f"{name} was changed" in problems(found, "checksums")


def test_a_missing_or_unlisted_file_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    original = contents(bundles["exact"])
    for name in original.keys() - {"input.tif"}:
        pack(tmp_path / "b.zip", {each: original[each] for each in original if each != name})
        found = verify(tmp_path / "b.zip", rerun=False)
        assert f"{name} is missing" in problems(found, "checksums")
        assert not found.verified
    pack(tmp_path / "b.zip", original | {"coverage.npy": npy(np.ones((3, 3)))})
    found = verify(tmp_path / "b.zip", rerun=False)
    assert "coverage.npy is not listed" in problems(found, "checksums")


def one_pixel(image: Any) -> Any:
    image[20, 30] += 0.01 * np.ptp(image)
    return image


def other_input(entries: Content) -> None:
    """Another image of the same type, shape and calibration."""
    with tifffile.TiffFile(io.BytesIO(entries["input.tif"])) as file:
        pixels = file.asarray()
    swapped = io.BytesIO()
    tifffile.imwrite(
        swapped,
        np.roll(pixels, 5, axis=0)[::-1] + np.uint16(3),
        imagej=True,
        resolution=(1 / 0.03, 1 / 0.02),
        metadata={"unit": "nm"},
    )
    entries["input.tif"] = swapped.getvalue()


def other_picture(entries: Content) -> None:
    with tifffile.TiffFile(io.BytesIO(entries["result.tif"])) as file:
        pixels = file.asarray()
    entries["result.tif"] = calibrated(one_pixel(pixels), 0.02)


def other_calibration(entries: Content) -> None:
    with tifffile.TiffFile(io.BytesIO(entries["result.tif"])) as file:
        pixels = file.asarray()
    entries["result.tif"] = calibrated(pixels, 0.021)


def calibrated(pixels: Any, height: float) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file, pixels, imagej=True, resolution=(1 / 0.03, 1 / height), metadata={"unit": "nm"}
    )
    return file.getvalue()


def other_eigenpatches(entries: Content) -> None:
    """Also orthonormal, but not those of the input."""
    with np.load(io.BytesIO(entries["eigenpatches.npz"])) as file:
        stacks = {name: file[name] for name in file}
    entries["eigenpatches.npz"] = npz({name: each[:, ::-1] for name, each in stacks.items()})


def louder_eigenpatches(entries: Content) -> None:
    with np.load(io.BytesIO(entries["eigenpatches.npz"])) as file:
        entries["eigenpatches.npz"] = npz({name: 1.01 * file[name] for name in file})


def drop_a_verdict(report: dict[str, Any]) -> None:
    kept = report["stack_reports"][0]["kept"]
    kept[kept.index(True)] = False


def nudge_utilities(report: dict[str, Any]) -> None:
    utilities = report["stack_reports"][0]["utilities"]
    utilities[1] = 0.5 * utilities[1]


def set_(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def do(report: dict[str, Any]) -> None:
        report[name] = value

    return do


FORGERIES: dict[str, tuple[Callable[[Content], None], dict[str, str]]] = {
    "result": (
        changed_array("result.npy", one_pixel),
        {"filter": "result.npy is not what the eigenpatches yield", "rerun": "result.npy is not"},
    ),
    "picture": (other_picture, {"filter": "result.tif is not what result.npy"}),
    "calibration": (other_calibration, {"filter": "result.tif has pixels of 0.021 x 0.03 nm"}),
    "input": (other_input, {"filter": "the input was swapped", "rerun": "result.npy is not"}),
    "eigenpatches": (other_eigenpatches, {"filter": "result.npy is not what the eigenpatches"}),
    "louder eigenpatches": (louder_eigenpatches, {"filter": "not orthonormal"}),
    "verdict": (
        changed_report(drop_a_verdict),
        {
            "filter": "result.npy is not what the eigenpatches",
            "rerun": "eigenpatch 1 was left out with",
        },
    ),
    "utilities": (changed_report(nudge_utilities), {"rerun": "the utilities of the report"}),
    "threshold": (changed_report(set_("threshold", 0.01)), {"rerun": "threshold: the report says"}),
    "decision": (
        changed_report(set_("scan_noise", "remove")),
        {"rerun": "scan_noise: the report says 'remove', the re-run gives 'keep'"},
    ),
    "no decision": (
        changed_report(lambda report: report["parameters"].update(scan_noise="maybe")),
        {"rerun": "scan_noise: got 'maybe', expected one of keep, remove"},
    ),
    "origin": (changed_report(set_("psf_radius", 99)), {"rerun": "psf_radius: the report says 99"}),
    "uncovered": (changed_report(set_("uncovered_pixels", 9)), {"filter": "lie under no patch"}),
}


@pytest.mark.parametrize("kind", ["exact", "stacked"])
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_fitting_checksums_is_found(
    name: str, kind: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    change, expected = FORGERIES[name]
    found = verify(forge(bundles[kind], tmp_path / "b.zip", change))
    assert verdicts(found)["checksums"] is True, found
    for check, reason in expected.items():
        assert verdicts(found)[check] is False
        assert reason in problems(found, check)


FRAME_FORGERIES: dict[str, tuple[str, Callable[[Content], None], dict[str, str]]] = {
    "a pixel of a frame": (
        "frames",
        changed_array("result.npy", lambda image: (one_pixel(image[2]), image)[1]),
        {"filter": "frame 2: result.npy is not what the eigen", "rerun": "frame 2: result.npy"},
    ),
    "a pixel of a joint frame": (
        "joint frames",
        changed_array("result.npy", lambda image: (one_pixel(image[2]), image)[1]),
        {"filter": "frame 2: result.npy is not what the eigen", "rerun": "frame 2: result.npy"},
    ),
    "frames in another order": (
        "frames",
        changed_array("result.npy", lambda image: image[::-1]),
        {"filter": "frame 0: result.npy is not what the eigen"},
    ),
    "a frame that was not denoised": (
        "frames stopped early",
        changed_array("result.npy", lambda image: (one_pixel(image[2]), image)[1]),
        {"filter": "frame 2: result.npy is not the raw frame"},
    ),
    "coverage": (
        "frames stopped early",
        changed_array("coverage.npy", lambda coverage: coverage[::-1]),
        {"filter": "frame 0: coverage.npy is not what"},
    ),
    "verdict of a frame": (
        "frames",
        changed_report(lambda report: drop_a_verdict(report["frame_reports"][1])),
        {"filter": "frame 1: result.npy", "rerun": "frame 1: stack 1: eigenpatch 1 was left out"},
    ),
    "which frame": (
        "one frame",
        changed_report(lambda report: report["input"].update(frame=0)),
        {"filter": "the input was swapped", "rerun": "result.npy is not"},
    ),
    "no such frame": (
        "one frame",
        changed_report(lambda report: report["input"].update(frame=9)),
        {"filter": "expected 0 to 2"},
    ),
    "another classifier of a frame": (
        "frames",
        changed_report(lambda report: report["frame_reports"][1].update(scan_noise="remove")),
        {"filter": "names several classifiers", "rerun": "names several classifiers"},
    ),
    "joint for each": (
        "frames",
        changed_report(lambda report: report.update(frames="joint")),
        {"filter": "frame 1: result.npy is not what the eigen", "rerun": "the re-run gives"},
    ),
    "more frames": (
        "frames",
        changed_report(lambda report: report.update(frames_done=10**9)),
        {"filter": "tells of 3 frames, of which 1000000000 of 3 are done"},
    ),
}


@pytest.mark.parametrize("name", FRAME_FORGERIES)
def test_a_forgery_of_a_stack_is_found(name: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    kind, change, expected = FRAME_FORGERIES[name]
    found = verify(forge(bundles[kind], tmp_path / "b.zip", change))
    assert not found.verified
    for check, reason in expected.items():
        assert verdicts(found)[check] is False
        assert reason in problems(found, check)


def test_another_seed_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    def change(report: dict[str, Any]) -> None:
        report["seed"] = report["parameters"]["seed"] = 6

    found = verify(forge(bundles["stacked"], tmp_path / "b.zip", changed_report(change)))
    assert verdicts(found) == {"checksums": True, "filter": False, "rerun": False}


def test_a_consistent_forgery_is_found_by_the_rerun(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    """Other verdicts, and the result that they yield: only the classifier can say no."""

    def change(entries: Content) -> None:
        changed_report(drop_a_verdict)(entries)
        with tifffile.TiffFile(io.BytesIO(entries["input.tif"])) as file:
            noisy = file.asarray()
        result = denoise(noisy, DenoiseParams(), classify=load_classifier())
        report = TypeAdapter(Report).validate_json(entries["report.json"])
        forged, _ = replay(noisy, report, result.eigenpatches)
        entries["result.npy"] = npy(forged)
        entries["result.tif"] = calibrated(forged, 0.02)
        entries["residual.tif"] = calibrated(noisy.astype("float32") - forged, 0.02)

    found = verify(forge(bundles["exact"], tmp_path / "b.zip", change))
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": False}
    assert "the re-run keeps it with" in problems(found, "rerun")


def test_a_record_that_tells_otherwise_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    for old, new, reason in (
        (b'"value": 7,', b'"value": 9,', "differ in patch_size, as resolved"),
        (b'"name": "numpy",', b'"name": "nunpy",', "differ in numpy"),
        (b'"contentSize": "', b'"contentSize": "1', "describes another"),
    ):
        entries = contents(bundles["exact"])
        assert old in entries["ro-crate-metadata.json"]
        entries["ro-crate-metadata.json"] = entries["ro-crate-metadata.json"].replace(old, new)
        found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
        assert reason in problems(found, "checksums")


def test_without_the_input_nothing_can_be_said_until_it_is_named(
    bundles: dict[str, Path], tmp_path: Path, input_file: Path
) -> None:
    found = verify(bundles["without input"])
    assert verdicts(found) == {"checksums": True, "filter": None, "rerun": None}
    assert not found.verified
    assert "--input" in problems(found, "filter")
    assert verify(bundles["without input"], input_file=input_file).verified
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, tifffile.imread(input_file)[::-1])
    found = verify(bundles["without input"], input_file=other)
    assert verdicts(found) == {"checksums": False, "filter": False, "rerun": False}
    assert "the input was swapped" in problems(found, "checksums")


def test_other_weights_cannot_say_whether_it_is_the_same(
    bundles: dict[str, Path], tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_others(report: dict[str, Any]) -> None:
        report["model"] = f"paper@sha256:{'0' * 64}"

    found = verify(forge(bundles["exact"], tmp_path / "b.zip", changed_report(by_others)))
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": None}
    assert "REUCID_MODEL" in problems(found, "rerun")
    monkeypatch.setenv("REUCID_MODEL", str(model))
    assert verify(bundles["exact"]).verified, "by the bundled weights, which are there too"


@pytest.mark.parametrize("kind", ["exact", "stacked", "frames", "joint frames"])
def test_a_report_without_the_classifiers_decision_is_none(
    kind: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    entries = contents(bundles[kind])
    report = json.loads(entries["report.json"])
    for each in report.get("frame_reports", [report]):
        del each["scan_noise"]
    entries["report.json"] = json.dumps(report).encode()
    found = verify(pack(tmp_path / "b.zip", entries))
    assert not found.verified
    assert "scan_noise: Field required" in problems(found, "filter")


def test_parameters_of_another_version_are_not_run_again(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    def add(report: dict[str, Any]) -> None:
        report["parameters"]["sharpness"] = 3

    found = verify(forge(bundles["exact"], tmp_path / "b.zip", changed_report(add)))
    assert verdicts(found)["rerun"] is None
    assert "sharpness" in found.checks[-1].problems[0]


def test_a_bundle_is_run_again_by_the_same_weights_and_decision(
    input_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_model(tmp_path / "second.safetensors", note="second")
    choice = ModelChoice(model="second", scan_noise="remove")
    path = tmp_path / "b.zip"
    local.denoise_file(
        input_file,
        JobParams(choice=choice),
        lambda _: None,
        models=Models(weights),
        bundle_at=path,
    )
    found = verify(path)
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": None}
    assert "it was made with the weights second@sha256:" in problems(found, "rerun")
    other = write_model(tmp_path / "other" / "second.safetensors", note="the same name alone")
    monkeypatch.setenv("REUCID_MODEL", str(other))
    assert verdicts(verify(path))["rerun"] is None
    called_otherwise = tmp_path / "models" / "renamed.safetensors"
    called_otherwise.parent.mkdir()
    weights.rename(called_otherwise)
    monkeypatch.setenv("REUCID_MODEL_DIR", str(called_otherwise.parent))
    assert verify(path).verified


# --- strangers ---


def renamed(name: str) -> Callable[[Path], bytes]:
    def make(source: Path) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made:
            made.writestr(name, b"evil")
            for each, content in contents(source).items():
                made.writestr(each, content)
        return file.getvalue()

    return make


def twice(source: Path) -> bytes:
    """Two entries of one name: whoever unzips it sees another result than we would."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for each, content in contents(source).items():
            made.writestr(each, content)
        made.writestr("resulT.npy", b"other")
    return file.getvalue().replace(b"resulT.npy", b"result.npy")


def bomb(_source: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("report.json", bytes(2**26 + 1))
    return file.getvalue()


def lying_bomb(_source: Path) -> bytes:
    """It unpacks to more than it says."""
    return bomb(_source).replace(struct.pack("<I", 2**26 + 1), struct.pack("<I", 1000))


def lzma(_source: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("report.json", b"{}" * 999)
    return file.getvalue()


def encrypted(source: Path) -> bytes:
    whole = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as opened:
        whole[opened.start_dir + 8] |= 1
    return bytes(whole)


def long_list(_source: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for number in range(12000):
            made.writestr(f"{number:060}", b"")
    return file.getvalue()


REFUSED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "up": (renamed("../../evil.txt"), "an entry named '../../evil.txt'"),
    "absolute": (renamed("/tmp/evil.txt"), "an entry named '/tmp/evil.txt'"),  # noqa: S108
    "input up": (renamed("input.tif/../../evil"), "an entry named 'input.tif/../../evil'"),
    "folder": (renamed("input/"), "an entry named 'input/'"),
    "two inputs": (renamed("input.png"), "expected one input"),
    "twice": (twice, "two entries named 'result.npy'"),
    "bomb": (bomb, "report.json of 67108865 bytes, at most"),
    "lzma": (lzma, "compressed by method 14"),
    "encrypted": (encrypted, "an encrypted"),
    "long list": (long_list, "a list of entries of"),
    "empty": (lambda _: b"", "not a readable zip file"),
    "text": (lambda _: b"dear diary" * 99, "not a readable zip file"),
    "cut in half": (lambda source: source.read_bytes()[:-30000], "not a readable zip file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_bundle_is_refused(
    name: str, bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, reason = REFUSED[name]
    home = tmp_path / "a" / "b" / "c"
    home.mkdir(parents=True)
    path = home / "b.zip"
    path.write_bytes(make(bundles["exact"]))
    monkeypatch.setattr("tempfile.tempdir", str(home))
    with pytest.raises(ArchiveError) as refused:
        verify(path)
    assert reason in str(refused.value)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def zipped(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name.replace("__", "."), content)
    return file.getvalue()


ZEROS = bytes(2**25)
BOMBS: dict[str, Callable[[Content], bytes]] = {
    "input": lambda _: zipped(input__tif=ZEROS),
    "result": lambda _: zipped(result__npy=ZEROS),
    "many inputs": lambda _: zipped(
        input__emi=b"x", **{f"input-{n:04d}__ser": ZEROS[: 2**22] for n in range(1, 10)}
    ),
    "result beside a report": lambda held: zipped(
        report__json=held["report.json"], result__npy=ZEROS
    ),
    "eigenpatches": lambda held: zipped(report__json=held["report.json"], coverage__npy=ZEROS),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_anything_is_written(
    kind: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    path, entries = tmp_path / "b.zip", tmp_path / "entries"
    entries.mkdir()
    path.write_bytes(BOMBS[kind](contents(bundles["exact"])))
    with pytest.raises(ArchiveError, match=r"got entries of \d+ bytes, at most \d+ are accepted"):
        verify(path)
    with pytest.raises(ArchiveError, match="bytes, at most"):
        archive.unpack_zip(path, entries, lambda _: 2**40, total=budget(path))
    assert list(entries.iterdir()) == []


def test_what_the_report_does_not_justify_is_not_unpacked(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    held = contents(bundles["exact"])
    path = pack(tmp_path / "b.zip", held | {"result.npy": bytes(2**22)})
    found = verify(path)
    assert not found.verified
    assert "result.npy is damaged: it has 4194304 bytes, by the report at most" in problems(
        found, "checksums"
    )


def test_eigenpatches_that_unpack_to_more_than_the_report_justifies_are_refused(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    held = contents(bundles["exact"])
    path = tmp_path / "b.zip"
    bomb = zipped(**{name.replace(".", "__"): ZEROS for name in ("stack1.npy",)})
    path = pack(path, held | {"eigenpatches.npz": bomb})
    found = verify(path)
    assert not found.verified
    assert "eigenpatches.npz: got" in problems(found, "filter")


def test_a_bundle_is_unpacked_in_a_child_with_limits(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_here(*_: object, **__: object) -> None:
        raise AssertionError("a stranger's zip was opened in this process")

    monkeypatch.setattr(zipfile, "ZipFile", not_here)
    assert verify(bundles["exact"], rerun=False).verified


def test_an_entry_that_unpacks_to_more_than_it_says_is_cut_off(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "b.zip").write_bytes(lying_bomb(bundles["exact"]))
    entries = tmp_path / "entries"
    entries.mkdir()
    unpacked = archive.unpack_zip(tmp_path / "b.zip", entries, lambda _: 2**26)
    assert list(unpacked.damaged) == ["report.json"]
    assert list(entries.iterdir()) == []


def overflowing(entries: Content) -> dict[str, Any]:
    with np.load(io.BytesIO(entries["eigenpatches.npz"])) as file:
        return {name: np.full_like(file[name], 1e300) for name in file}


STRANGE: dict[str, Callable[[Content], None]] = {
    "no object": lambda entries: entries.update({"report.json": b"[]"}),
    "deep": lambda entries: entries.update({"report.json": b"[" * 10**6}),
    "long number": lambda entries: entries.update({"report.json": b"9" * 10**4}),
    "not a number": changed_report(set_("threshold", float("nan"))),
    "infinite": lambda entries: entries.update(
        {"report.json": re.sub(rb'"energy": [0-9.e+]+', b'"energy": 1e999', entries["report.json"])}
    ),
    "overflowing eigenpatches": lambda entries: entries.update(
        {"eigenpatches.npz": npz(overflowing(entries))}
    ),
    "no fields": lambda entries: entries.update({"report.json": b"{}"}),
    "huge patch": changed_report(set_("patch_size", 10**6 + 1)),
    "even patch": changed_report(set_("patch_size", 8)),
    "many stacks": changed_report(set_("stacks", 10**9)),
    "no stack": changed_report(set_("stack_reports", [])),
    "huge seed": changed_report(set_("seed", 10**30)),
    "negative shape": changed_report(set_("shape", [-1, 10**12])),
    "other engine": changed_report(set_("engine", "dream")),
    "other precision": changed_report(set_("precision", "float16")),
    "other parameters": changed_report(set_("parameters", {"threads": 10**9, "fly": True})),
    "long lists": changed_report(lambda r: r["stack_reports"][0]["kept"].append(True)),
    "nothing kept": changed_report(
        lambda r: r["stack_reports"][0].update(kept=[False] * len(r["stack_reports"][0]["kept"]))
    ),
    "no eigenpatches": lambda entries: entries.update({"eigenpatches.npz": npz({})}),
    "pickled eigenpatches": lambda entries: entries.update(
        {"eigenpatches.npz": npz({"stack1": np.array([{}], dtype=object)})}
    ),
    "cut eigenpatches": lambda entries: entries.update(
        {"eigenpatches.npz": npz({"stack1": np.ones((2, 2))})}
    ),
    "text for eigenpatches": lambda entries: entries.update({"eigenpatches.npz": b"dear diary"}),
    "text for a result": lambda entries: entries.update({"result.npy": b"dear diary"}),
    "small result": lambda entries: entries.update({"result.npy": npy(np.ones((9, 9)))}),
    "claimed result": lambda entries: entries.update(
        {"result.npy": npy(np.ones((9, 9))).replace(b"(9, 9), ", b"(9**9,9)")}
    ),
    "text for an input": lambda entries: entries.update({"input.tif": b"dear diary"}),
    "record of text": lambda entries: entries.update({"ro-crate-metadata.json": b"dear diary"}),
    "record of nothing": lambda entries: entries.update({"ro-crate-metadata.json": b"{}"}),
    "strange record": lambda entries: entries.update(
        {"ro-crate-metadata.json": b'{"@graph": [1, {"@id": "#denoising", "object": {}}]}'}
    ),
    "strange sums": lambda entries: entries.update({"SHA256SUMS": b"\xff\0" * 999}),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_contents_are_said_to_be_wrong(
    name: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    entries = contents(bundles["exact"])
    STRANGE[name](entries)
    found = verify(pack(tmp_path / "b.zip", entries))
    assert not found.verified
    assert verdicts(found)["checksums"] is False
    json.dumps([vars(check) for check in found.checks], allow_nan=False)


def test_mutations_are_refused_or_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    """Any byte but a few that say nothing, such as the times in the zip."""
    whole = bundles["exact"].read_bytes()
    rng = np.random.default_rng(0)
    verified = 0
    for position in rng.integers(0, len(whole), 40):
        mutated = bytearray(whole)
        match rng.integers(3):
            case 0:
                mutated[position] ^= int(rng.integers(1, 256))
            case 1:
                del mutated[position : position + int(rng.integers(1, 99))]
            case _:
                mutated[position:position] = rng.bytes(int(rng.integers(1, 99)))
        (tmp_path / "b.zip").write_bytes(mutated)
        try:
            verified += verify(tmp_path / "b.zip", rerun=False).verified
        except ArchiveError:
            continue
    assert verified <= 2
