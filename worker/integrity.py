"""Whether every file of a bundle is the one that was written, and the record tells of no other."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from reucid_core.report import Report
from worker import bundle, provenance
from worker.contract import Artifact
from worker.evidence import Check, Evidence
from worker.store import sha256_of

OPTIONAL = ("coverage.npy",)
REQUIRED = [
    name
    for name in (provenance.RECORD, bundle.CHECKSUMS, *provenance.RESULTS)
    if name not in OPTIONAL
]


def check_checksums(evidence: Evidence, found: Check) -> None:
    problems = found.problems
    files, damaged = evidence.unpacked.files, evidence.unpacked.damaged
    problems += [f"{name} is damaged: {reason}" for name, reason in damaged.items()]
    problems += [
        f"{name} is missing" for name in REQUIRED if name not in files and name not in damaged
    ]
    hashes = {name: sha256_of(path) for name, path in files.items()}
    if bundle.CHECKSUMS in files:
        problems += _differences(_listed(files[bundle.CHECKSUMS]), hashes, damaged)
    if provenance.RECORD in files:
        problems += _misrecorded(evidence, hashes)


def _listed(path: Path) -> dict[str, str]:
    """Hashes by name, as `sha256sum` writes them."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _differences(
    listed: Mapping[str, str], hashes: Mapping[str, str], damaged: Mapping[str, str]
) -> Iterator[str]:
    for name, digest in hashes.items():
        if name == bundle.CHECKSUMS:
            continue
        if name not in listed:
            yield f"{name} is not listed in {bundle.CHECKSUMS}"
        elif listed[name] != digest:
            yield (
                f"{name} was changed: its SHA-256 is {digest}, {bundle.CHECKSUMS} says "
                f"{listed[name][:64]!r}"
            )
    for name in listed.keys() - hashes.keys() - damaged.keys():
        yield f"{name[:80]!r} is listed in {bundle.CHECKSUMS} and not there"


def _misrecorded(evidence: Evidence, hashes: Mapping[str, str]) -> Iterator[str]:
    """Where the record says otherwise than the files and the report."""
    record = evidence.record
    files = evidence.unpacked.files
    for name in hashes.keys() & provenance.RESULTS.keys():
        told = provenance.of_file(Artifact(name, hashes[name], files[name].stat().st_size))
        if record.get(name) != told:
            yield f"{provenance.RECORD} describes another {name}"
    recorded = _recorded_input(record)
    if recorded is None:
        yield f"{provenance.RECORD} does not say what was denoised"
    elif evidence.stated_input is not None or evidence.input_name in hashes:
        digest = sha256_of(evidence.input_path)
        if recorded != digest:
            yield (
                f"the input was swapped: its SHA-256 is {digest}, {provenance.RECORD} says "
                f"{recorded[:64]!r}"
            )
    if "report.json" in hashes:
        raw = TypeAdapter(Report).dump_python(evidence.report, mode="json")
        for told in provenance.of_report(raw):
            if record.get(told["@id"]) != told:
                yield f"{provenance.RECORD} and report.json differ in {told['name']}"


def _recorded_input(record: Mapping[str, Any]) -> str | None:
    """SHA-256 of what was denoised: the first object of the action."""
    try:
        first = record[provenance.ACTION]["object"][0]["@id"]
        return str(record[first]["sha256"])
    except (KeyError, IndexError, TypeError):
        return None
