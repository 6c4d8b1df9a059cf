"""Which classifiers there are, and which one a job gets."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from reucid_core import DenoiseParams, ModelError, ParameterError, noise_floor
from reucid_core.classifier import load_classifier
from reucid_core.params import ScanNoise
from tests.support.models import BUNDLED, bundled_card, spoil, write_card, write_model
from worker.denoising.model_choice import ModelChoice
from worker.denoising.model_files import DEFAULT, LARGEST, Models, describe
from worker.denoising.model_loading import chosen_classifier, classifier_at, judge_of
from worker.denoising.params import JobParams


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(folder / "second.safetensors", note="second")
    return folder


def test_the_bundled_default_is_that_of_the_core() -> None:
    assert describe(BUNDLED).identity == load_classifier().identity
    assert next(iter(Models().offered())) == Models().default == DEFAULT


@pytest.mark.parametrize("path", sorted(BUNDLED.parent.glob("*.safetensors")), ids=lambda p: p.stem)
@pytest.mark.parametrize("scan_noise", get_args(ScanNoise))
def test_a_file_is_described_as_it_is_loaded(path: Path, scan_noise: ScanNoise) -> None:
    loaded, told = load_classifier(path, scan_noise=scan_noise), describe(path)
    assert (loaded.identity, loaded.card) == (told.identity, told.card)
    assert loaded.scan_noise == scan_noise


def test_the_servers_own_comes_first_then_names_in_order(folder: Path) -> None:
    own = write_model(folder.parent / "zirconia.safetensors", note="own")
    models = Models(own, folder)
    assert list(models.offered()) == ["zirconia", *sorted({*Models().offered(), "second"})]
    assert models.default == "zirconia"
    assert models.find(None) == own
    assert models.with_digest(models.offered()["second"].sha256) == folder / "second.safetensors"
    assert models.with_digest("") is None


def test_a_file_that_comes_is_offered_and_one_that_goes_is_not(folder: Path) -> None:
    models = Models(folder=folder)
    write_model(folder / "third.safetensors", note="third")
    assert "third" in models.offered()
    before = models.offered()["third"].sha256
    write_model(folder / "third.safetensors", note="third, trained anew")
    assert models.offered()["third"].sha256 != before
    (folder / "third.safetensors").unlink()
    assert "third" not in models.offered()
    folder.rename(folder.parent / "elsewhere")
    assert models.offered().keys() == Models().offered().keys()


def test_a_name_of_a_bundled_one_cannot_be_taken(folder: Path) -> None:
    write_model(folder / BUNDLED.name, note="not the bundled one")
    models = Models(folder=folder)
    assert models.find(DEFAULT) == BUNDLED
    assert list(models.overlooked()) == [
        (BUNDLED.name, f"another file already has the name {DEFAULT}")
    ]


def test_the_servers_own_may_lie_in_the_folder(folder: Path) -> None:
    models = Models(folder / "second.safetensors", folder)
    assert list(models.overlooked()) == []
    assert models.default == "second"


def test_names_that_no_document_can_hold_are_overlooked(folder: Path) -> None:
    for name in (b"a\nb", b"\xff", b"x" * 230):
        os.link(folder / "second.safetensors", os.fsencode(folder) + b"/" + name + b".safetensors")
    models = Models(folder=folder)
    assert models.offered().keys() == Models().offered().keys() | {"second"}
    assert len(list(models.overlooked())) == 3


NESTED = '{"a":'


def noted(text: str) -> str:
    """A card with a note of this JSON."""
    return json.dumps(bundled_card() | {"note": "?"}).replace('"?"', text)


BAD = {
    "text": (lambda path: path.write_text("not weights"), "not a readable safetensors file"),
    "nothing": (lambda path: path.write_bytes(b""), "not a readable safetensors file"),
    "half": (
        lambda path: path.write_bytes(BUNDLED.read_bytes()[:-100]),
        "not a readable safetensors file",
    ),
    "a card of another kind": (lambda path: write_card(path, "[1]"), "holds format None"),
    "half a card": (lambda path: write_card(path, "{"), "not a readable safetensors file"),
    "a card of great depth": (lambda path: write_card(path, NESTED * 10_000), "not a readable"),
    "a note of great depth": (
        lambda path: write_card(path, noted(NESTED * 900 + "1" + "}" * 900)),
        "depth",
    ),
    "a note of some depth": (lambda path: write_card(path, noted("[" * 40 + "]" * 40)), "depth"),
    "half a character": (lambda path: write_model(path, note="\ud800"), "no text"),
    "half a character as a name": (lambda path: write_model(path, **{"\udfff": 1}), "no text"),
    "a NUL": (lambda path: write_model(path, note="a\0b"), "no text"),
    "not a number": (lambda path: write_model(path, note=float("nan")), "not finite"),
    "an infinite number": (lambda path: write_card(path, noted("1e999")), "not finite"),
    "many digits": (lambda path: write_card(path, noted("9" * 5000)), "not a readable"),
    "a long card": (lambda path: write_model(path, note="x" * 2**18), "characters"),
    "a kind of great depth": (lambda path: write_model(path, format=[[[["x"]]]]), "holds format"),
    "no numbers": (lambda path: spoil(write_model(path)), "not finite"),
    "another kind": (lambda path: write_model(path, architecture="other", format="other"), "other"),
    "a folder": (lambda path: path.mkdir(), "is not a file"),
    "a pipe": (os.mkfifo, "is not a file"),
    "far too large": (
        lambda path: (path.touch(), os.truncate(path, LARGEST + 1)),
        "expected a classifier of at most",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_damaged_is_not_offered_and_the_reason_is_said(kind: str, folder: Path) -> None:
    make, reason = BAD[kind]
    path = folder / "bad.safetensors"
    make(path)
    with pytest.raises(ModelError, match=reason):
        describe(path)
    models = Models(folder=folder)
    assert "bad" not in models.offered()
    with pytest.raises(ParameterError, match=r"model: got 'bad', expected one of .*second"):
        models.expect("bad")
    with pytest.raises(ModelError, match=reason) as refused:
        chosen_classifier(models, ModelChoice(model="bad"))
    assert str(folder) not in str(refused.value)
    with pytest.raises(ModelError, match=reason):
        Models(stated=path).check()
    with pytest.raises(ModelError) as said:
        classifier_at(path, "keep")
    assert len(str(said.value)) < 400
    assert str(said.value).isprintable()


def test_a_bad_file_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad.safetensors").write_bytes(b"not weights")
    models = Models(folder=folder)
    offered = models.offered()

    def read_again(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(Path, "read_bytes", read_again)
    assert models.offered() == offered


def test_weights_that_take_all_memory_are_no_classifier(folder: Path) -> None:
    for sizes in ({"channels": [10**5, 10**5]}, {"widths": [10**6, 10**6]}, {"widths": [2**70]}):
        large: Any = bundled_card()["architecture"]
        path = write_model(folder / "large.safetensors", architecture={**large, **sizes})
        for look in (describe, lambda path: classifier_at(path, "keep")):
            with pytest.raises(ModelError, match="more weights than"):
                look(path)


def test_a_server_is_checked_before_it_starts(folder: Path) -> None:
    Models(folder / "second.safetensors", folder).check()
    Models().check()
    with pytest.raises(ModelError, match=r"no file none\.safetensors"):
        Models(stated=folder / "none.safetensors").check()
    with pytest.raises(ModelError, match="REUCID_MODEL_DIR"):
        Models(folder=folder / "nowhere").check()


@pytest.mark.parametrize(
    "name", ["../models/second", "second.safetensors", "/etc/passwd", "..", "", "a\x00b"]
)
def test_a_name_is_never_a_path(name: str, folder: Path) -> None:
    models = Models(folder=folder)
    for look in (models.expect, models.find):
        with pytest.raises(ParameterError, match="expected one of") as refused:
            look(name)
        assert str(folder) not in str(refused.value)


def test_each_choice_has_its_classifier_loaded_once(folder: Path) -> None:
    models = Models(folder=folder)
    keep, remove, second = (
        judge_of(models, JobParams(choice=choice, denoising=denoising))
        for choice, denoising in (
            (ModelChoice(), DenoiseParams(method="paper")),
            (ModelChoice(), DenoiseParams(stacks=2, scan_noise="remove")),
            (ModelChoice(model="second"), DenoiseParams(scan_noise="remove")),
        )
    )
    assert (keep.scan_noise, remove.scan_noise, second.scan_noise) == ("keep", "remove", "remove")
    assert keep.identity == remove.identity == models.offered()[DEFAULT].identity
    assert second.identity == models.offered()["second"].identity
    assert chosen_classifier(models, ModelChoice(model=DEFAULT)) is keep
    write_model(folder / "second.safetensors", note="trained anew")
    again = chosen_classifier(models, ModelChoice(model="second"), "remove")
    assert again.identity != second.identity


def test_two_scales_are_judged_by_the_noise_floor_and_by_no_network(folder: Path) -> None:
    for method in ("two-scale", "auto"):
        params = JobParams.from_json({"method": method})
        assert judge_of(Models(folder=folder), params) is noise_floor
    with pytest.raises(ParameterError, match=r"^model: got 'second' with method two"):
        JobParams.from_json({"method": "two-scale", "model": "second"})
