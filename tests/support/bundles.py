"""Bundles to verify, and what a forger can do to one."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reucid_core import DenoiseParams
from tests.support.lattices import write_input
from worker.bundles import provenance
from worker.bundles.bundle import CHECKSUMS, INPUT
from worker.bundles.verification import Verification
from worker.contract import Artifact
from worker.denoising.params import JobParams
from worker.denoising.selection import Selection
from worker.local.denoising import denoise_file

Content = dict[str, bytes]

PAPER = DenoiseParams(method="paper")
TWO_SCALES = DenoiseParams(method="two-scale")
BUNDLED: dict[str, tuple[DenoiseParams, Selection]] = {
    "exact": (PAPER, Selection()),
    "stacked": (DenoiseParams(stacks=3, seed=5), Selection()),
    "stopped early": (DenoiseParams(stacks=3, seed=5, deadline=0.0), Selection()),
    "frames": (PAPER, Selection(frames="each")),
    "frames in stacks": (DenoiseParams(stacks=2, patch_size=7), Selection(frames="each")),
    "joint frames": (PAPER, Selection(frames="joint")),
    "one frame": (PAPER, Selection(frame=1)),
    "frames stopped early": (DenoiseParams(stacks=2, deadline=0.0), Selection()),
    "two scales": (DenoiseParams(), Selection()),
    "two scales stopped early": (replace(TWO_SCALES, deadline=0.0), Selection()),
    "frames at two scales": (TWO_SCALES, Selection(frames="each")),
    "joint frames at two scales": (TWO_SCALES, Selection(frames="joint")),
}


def write_bundles(folder: Path, input_file: Path) -> dict[str, Path]:
    """A bundle of each kind there is."""
    stack = folder / "stack.tif"
    write_input(stack, frames=3)
    paths = {name: folder / f"{name}.zip" for name in (*BUNDLED, "without input")}
    for name, path in paths.items():
        params, selection = BUNDLED.get(name, (PAPER, Selection()))
        denoise_file(
            stack if "frame" in name else input_file,
            JobParams(denoising=params, selection=selection),
            lambda _: None,
            bundle_at=path,
            with_input=name != "without input",
        )
    return paths


def contents(path: Path) -> Content:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, entries: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def forge(source: Path, target: Path, change: Callable[[Content], None]) -> Path:
    """Change a bundle as somebody would who knows how it is made: record and sums fit again."""
    entries = contents(source)
    change(entries)
    crate = json.loads(entries[provenance.RECORD])
    report = json.loads(entries["report.json"])
    told = {each["@id"]: each for each in provenance.of_report(report)}
    for name, content in entries.items():
        artifact = Artifact(name, hashlib.sha256(content).hexdigest(), len(content))
        if name in provenance.RESULTS:
            told[name] = provenance.of_file(artifact)
        elif INPUT.fullmatch(name):
            entity = next(each for each in crate["@graph"] if each["@id"] == name)
            told[name] = entity | {"sha256": artifact.sha256, "contentSize": str(artifact.size)}
    crate["@graph"] = [told.get(each["@id"], each) for each in crate["@graph"]]
    entries[provenance.RECORD] = json.dumps(crate).encode()
    entries[CHECKSUMS] = b"".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
        for name, content in entries.items()
        if name != CHECKSUMS
    )
    return pack(target, entries)


def changed_report(change: Callable[[dict[str, Any]], None]) -> Callable[[Content], None]:
    def do(entries: Content) -> None:
        report = json.loads(entries["report.json"])
        change(report)
        entries["report.json"] = json.dumps(report).encode()

    return do


def changed_array(name: str, change: Callable[[Any], Any]) -> Callable[[Content], None]:
    def do(entries: Content) -> None:
        entries[name] = npy(change(np.load(io.BytesIO(entries[name]))))

    return do


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(arrays: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def set_(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set a field of the report."""

    def do(report: dict[str, Any]) -> None:
        report[name] = value

    return do


def verdicts(found: Verification) -> dict[str, bool | None]:
    return {check.name: check.holds for check in found.checks}


def problems(found: Verification, name: str) -> str:
    return "\n".join(next(check.problems for check in found.checks if check.name == name))
