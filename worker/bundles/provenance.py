"""What was done to which file, with which parameters, by which software: a research object.

An RO-Crate 1.1 that follows the Process Run Crate profile 0.5: plain JSON-LD, readable without any
library. Entities are derived from the report and from the files alone, so that `of_report` and
`of_file` can also tell whether a record fits the report and the files it comes with.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.contract import Artifact, ImageInfo
from worker.denoising.reports import frame_reports, is_of_stack, told_of_people
from worker.formats import MEDIA_TYPES

Entity = dict[str, Any]

RECORD = "ro-crate-metadata.json"
MEDIA_TYPE = 'application/ld+json; profile="https://w3id.org/ro/crate"'
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
ACTION, SOFTWARE, MODEL, RIGHTS = "#denoising", "#reucid", "#model", "#rights"

RESULTS = {
    "result.npy": ("The denoised image, exact", MEDIA_TYPES["npy"]),
    "result.tif": ("The denoised image with its calibration", MEDIA_TYPES["tiff"]),
    "residual.tif": ("The input minus the denoised image", MEDIA_TYPES["tiff"]),
    "coverage.npy": ("How many patches overlap each pixel", MEDIA_TYPES["npy"]),
    "departures.tif": ("Where the image is not its lattice", MEDIA_TYPES["tiff"]),
    "report.json": ("The eigenpatch classification report", "application/json"),
    "eigenpatches.npz": ("All offered eigenpatches of each stack", "application/zip"),
}
HOMEPAGES = {
    "python": "https://www.python.org/",
    "numpy": "https://numpy.org/",
    "scipy": "https://scipy.org/",
    "torch": "https://pytorch.org/",
}
RESOLVED = {  # of a report, by the name of the parameter: the value, and where it came from
    "method": "method_reason",
    "engine": "engine_reason",
    "patch_size": "patch_size_origin",
    "stacks": "stacks_origin",
    "components": None,
    "threshold": None,
    "scan_noise": None,
    "seed": None,
    "precision": None,
    "stacks_done": "stopped_by",
}


@dataclass(frozen=True)
class Run:
    """One denoising, from file to file. Times are seconds since the epoch."""

    input_name: str  # as its owner calls the file
    info: ImageInfo  # of the signal that was denoised
    report: Mapping[str, Any]
    started_at: float
    finished_at: float
    job_id: str | None = None
    sample_id: str | None = None


def record(
    run: Run, files: Sequence[Artifact], sent: Sequence[Artifact], *, with_input: bool
) -> Entity:
    """The record of a run, as JSON-LD.

    Parameters
    ----------
    run : Run
    files : sequence of Artifact
        Of the result, beside the record.
    sent : sequence of Artifact
        Of the input, the file itself before those that belong to it.
    with_input : bool
        Whether they lie beside the record too; otherwise their hashes must do.
    """
    inputs = [_of_input(file, run, with_input) for file in sent]
    inputs[0] |= _calibration(run.info)
    results = [of_file(file) for file in files]
    told = of_report(run.report)
    parameters = [each for each in told if each["@type"] == "PropertyValue"]
    model = [each for each in told if each["@id"] == MODEL]
    parts = [*inputs, *results] if with_input else results
    graph: list[Entity] = [
        {
            "@id": RECORD,
            "@type": "CreativeWork",
            "about": _to("./"),
            "conformsTo": _to(SPECIFICATION),
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "conformsTo": _to(PROFILE),
            "name": f"{run.input_name}, denoised",
            "description": "A micrograph denoised by its eigenpatches, and everything needed to "
            "check that the result follows from it.",
            "datePublished": _time(run.finished_at),
            "license": _to(RIGHTS),
            "hasPart": _all(parts),
            "mentions": _to(ACTION),
        },
        {
            "@id": PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": PROFILE.rsplit("/", 1)[1],
        },
        {
            "@id": RIGHTS,
            "@type": "CreativeWork",
            "name": "Rights",
            "description": "The rights in the measured image are its owner's; this record neither "
            "has nor grants any.",
        },
        {
            "@id": ACTION,
            "@type": "CreateAction",
            "name": f"Denoising of {run.input_name}",
            "description": _summary(run.report),
            "startTime": _time(run.started_at),
            "endTime": _time(run.finished_at),
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "agent": _to(SOFTWARE),
            "instrument": _to(SOFTWARE),
            "object": _all([*inputs, *parameters, *model]),
            "result": _all(results),
        }
        | ({"identifier": run.job_id} if run.job_id else {}),
        *inputs,
        *_sides(run.info),
        *results,
        *told,
    ]
    if run.sample_id:
        inputs[0]["about"] = _to("#sample")
        graph.append({"@id": "#sample", "@type": "Thing", "name": run.sample_id})
    return {"@context": CONTEXT, "@graph": graph}


def _of_input(file: Artifact, run: Run, with_input: bool) -> Entity:
    """A file of the input, by its name in the bundle, else by its hash alone."""
    name = file.name if "-" in file.name else run.input_name
    return {
        "@id": file.name if with_input else _named_by_hash(file.sha256),
        "@type": "File" if with_input else "CreativeWork",
        "name": name,
        "alternateName": name,
        "description": "What was measured",
        "encodingFormat": MEDIA_TYPES.get(run.info.format, "application/octet-stream"),
        "contentSize": str(file.size),
        "sha256": file.sha256,
    }


def _calibration(info: ImageInfo) -> Entity:
    sides = _sides(info)
    return {"additionalProperty": _all(sides)} if sides else {}


def _sides(info: ImageInfo) -> list[Entity]:
    if info.pixel_size is None:
        return []
    return [
        {
            "@id": f"#pixel-{side}",
            "@type": "PropertyValue",
            "name": f"pixel {side}",
            "value": length,
            "unitText": info.unit,
        }
        for side, length in zip(("height", "width"), info.pixel_size, strict=True)
    ]


def of_file(file: Artifact) -> Entity:
    """A file of the result."""
    description, media_type = RESULTS[file.name]
    return {
        "@id": file.name,
        "@type": "File",
        "name": file.name,
        "description": description,
        "encodingFormat": media_type,
        "contentSize": str(file.size),
        "sha256": file.sha256,
    }


def of_report(report: Mapping[str, Any]) -> list[Entity]:
    """Software, model and every parameter, as given and as resolved."""
    reports = frame_reports(report)
    versions = dict(reports[0]["versions"])
    return [
        {
            "@id": SOFTWARE,
            "@type": "SoftwareApplication",
            "name": "REUCID",
            "description": "Eigenpatch denoising of low-dose STEM/HAADF micrographs",
            "softwareVersion": versions.pop("reucid", "unknown"),
            "softwareRequirements": [_to(f"#{name}") for name in versions],
        },
        *(_software(name, version) for name, version in versions.items()),
        *_model(reports[0]),
        *(_given(name, value) for name, value in report["parameters"].items()),
        _property("signal", report["input"]["signal"], report["input"]["title"]),
        _property("frame", "all" if report["input"]["frame"] is None else report["input"]["frame"]),
        *(_resolved(name, reports, origin) for name, origin in RESOLVED.items()),
        *_people(told_of_people(report)),
        *_parts(report.get("parts", ())),
    ]


def _people(told: str) -> list[Entity]:
    """What people decided in place of the classifier; nothing where none did."""
    return [_property("eigenpatches judged by a person", told)] if told else []


def _parts(parts: Sequence[Mapping[str, Any]]) -> list[Entity]:
    """Which workers denoised which frames; nothing where one did all."""
    if not parts:
        return []
    told = (
        f"{part['frames']} frame(s) from {part['first_frame']} on by worker {part['worker']}, "
        f"attempt {part['attempt']}"
        for part in parts
    )
    return [_property("parts", len(parts), "; ".join(told))]


def _software(name: str, version: str) -> Entity:
    return {
        "@id": f"#{name}",
        "@type": "SoftwareApplication",
        "name": name,
        "softwareVersion": version,
    } | ({"url": HOMEPAGES[name]} if name in HOMEPAGES else {})


def _model(report: Mapping[str, Any]) -> list[Entity]:
    """What said what to keep: weights, or a rule; nothing when it had no name."""
    if not report["model"]:
        return []
    name, _, digest = report["model"].partition("@sha256:")
    kind = "Weights of the classifier" if digest else "Rule"
    return [
        {
            "@id": MODEL,
            "@type": "CreativeWork",
            "name": name,
            "description": f"{kind}, which says what to keep and sees no pixel",
        }
        | ({"sha256": digest} if digest else {})
    ]


def _given(name: str, value: object) -> Entity:
    return {
        "@id": f"#given-{name}",
        "@type": "PropertyValue",
        "name": f"{name}, as given",
        "propertyID": name,
        "value": "auto" if value is None else _plain(value),
    }


def _plain(value: object) -> object:
    """As a property can have it: no object."""
    return json.dumps(value) if isinstance(value, Mapping) else value


def _resolved(name: str, reports: Sequence[Mapping[str, Any]], origin: str | None) -> Entity:
    origins = {str(each[origin]) for each in reports if each[origin]} if origin else set()
    return _property(name, _common([each[name] for each in reports]), ", ".join(sorted(origins)))


def _property(name: str, value: object, description: str = "") -> Entity:
    entity = {
        "@id": f"#resolved-{name.replace(' ', '-')}",
        "@type": "PropertyValue",
        "name": f"{name}, as resolved",
        "propertyID": name,
        "value": value,
    }
    return entity | ({"description": description} if description else {})


def _common(values: Sequence[Any]) -> Any:
    """The value of all frames; each frame's, where they differ."""
    return values[0] if all(value == values[0] for value in values) else list(values)


def _summary(report: Mapping[str, Any]) -> str:
    reports = frame_reports(report)
    first = reports[0]
    kept = " + ".join(str(sum(stack["kept"])) for stack in first["stack_reports"])
    frames = f"{len(reports)} frame(s), the first with " if is_of_stack(report) else ""
    return (
        f"Engine {first['engine']}, {frames}patches of {first['patch_size']} px, "
        f"{first['stacks_done']} of {first['stacks']} stack(s), kept {kept} of "
        f"{first['components']} eigenpatches"
    )


def _named_by_hash(sha256: str) -> str:
    """A URI of a thing by its hash (RFC 6920)."""
    return "ni:///sha-256;" + urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _to(id_: str) -> Entity:
    return {"@id": id_}


def _all(entities: Sequence[Entity]) -> list[Entity]:
    return [_to(entity["@id"]) for entity in entities]
