"""Whatever a stranger packs does no harm and is said to be wrong."""

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.bundles import (
    Content,
    changed_report,
    contents,
    npy,
    npz,
    pack,
    problems,
    set_,
    verdicts,
)
from worker import zips
from worker.bundles.bundle import budget
from worker.bundles.verification import verify
from worker.zips import ArchiveError


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
        zips.unpack_zip(path, entries, lambda _: 2**40, total=budget(path))
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
    unpacked = zips.unpack_zip(tmp_path / "b.zip", entries, lambda _: 2**26)
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
