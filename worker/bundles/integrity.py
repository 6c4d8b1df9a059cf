"""Whether every file of a bundle is the one that was written, and the record tells of no other."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from worker.bundles import bundle, provenance
from worker.bundles.evidence import Evidence
from worker.bundles.verdicts import Verdict
from worker.contract import Artifact
from worker.store import sha256_of

OPTIONAL = ("coverage.npy", "departures.tif")
REQUIRED = [
    name
    for name in (provenance.RECORD, bundle.CHECKSUMS, *provenance.RESULTS)
    if name not in OPTIONAL
]


def check_checksums(evidence: Evidence, found: Verdict) -> None:
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
    recorded = [str(each["sha256"]) for each in recorded_inputs(record)]
    if not recorded:
        yield f"{provenance.RECORD} does not say what was denoised"
    elif evidence.stated_input is not None or any(bundle.INPUT.fullmatch(name) for name in hashes):
        digests = [sha256_of(path) for path in evidence.inputs]
        if recorded != digests:
            yield (
                f"the input was swapped: its SHA-256 is {', '.join(digests)}, "
                f"{provenance.RECORD} says {', '.join(recorded)[:200]!r}"
            )
    if "report.json" in hashes:
        for told in provenance.of_report(evidence.told.raw):
            if record.get(told["@id"]) != told:
                yield f"{provenance.RECORD} and report.json differ in {told['name']}"


def recorded_inputs(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files that were denoised: those among the objects of the action."""
    try:
        named = [each["@id"] for each in record[provenance.ACTION]["object"]]
        entities = [record[name] for name in named if name != provenance.MODEL]
        return [each for each in entities if "sha256" in each]
    except (KeyError, TypeError):
        return []
