"""SciCat: the record of a denoising as a dataset derived from the one that was measured.

>>> record = derived_dataset(result.job, result.report, owner="Ada", ...)  # doctest: +SKIP
>>> httpx.post(f"{scicat}/api/v3/datasets", json=record, headers=...)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reucid_client.models import Job


def derived_dataset(
    job: Job,
    report: Mapping[str, Any],
    *,
    owner: str,
    owner_group: str,
    contact_email: str,
    source_folder: str,
    input_datasets: Sequence[str],
    investigator: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What SciCat takes as a new derived dataset (`POST /api/v3/datasets`).

    Parameters
    ----------
    job : Job
        That has succeeded.
    report : mapping
        Of its result.
    owner, owner_group, contact_email : str
        Of the dataset; `investigator` is the owner unless stated.
    source_folder : str
        Where the result lies, as the catalogue's users see it.
    input_datasets : sequence of str
        Persistent identifiers of what was denoised.
    **more
        Further fields of SciCat, such as `accessGroups`, `sourceFolderHost`, `numberOfFiles`.

    Raises
    ------
    ValueError
        When the job has no result, or nothing is named that it was made from.
    """
    if job.state != "succeeded":
        raise ValueError(f"got a job that {job.state}, expected one that succeeded")
    if not input_datasets:
        raise ValueError("got no input dataset, expected the identifier of the measured one")
    frames = report.get("frame_reports", [report])  # of a stack, one of each
    versions = frames[0]["versions"]
    sizes = sorted({each["patch_size"] for each in frames})
    told: dict[str, Any] = {
        "reucid_job": job.id,
        "input_file": job.data["image_name"],
        "method": " ".join(sorted({each["method"] for each in frames})),
        "patch_size": {"value": sizes[0] if len(sizes) == 1 else sizes, "unit": "px"},
        "warnings": list(report["warnings"]),
        "verdict": list(report["verdict"]),
    }
    for name in ("external_id", "sample_id"):
        if job.data[name] is not None:
            told[name] = job.data[name]
    return {
        "type": "derived",
        "datasetName": f"{job.data['image_name']}, denoised",
        "description": " ".join(report["verdict"]),
        "creationTime": job.data["finished_at"],
        "owner": owner,
        "ownerGroup": owner_group,
        "contactEmail": contact_email,
        "investigator": investigator or owner,
        "sourceFolder": source_folder,
        "inputDatasets": list(input_datasets),
        "usedSoftware": [f"{name} {versions[name]}" for name in sorted(versions)],
        "jobParameters": dict(job.data["params"]),
        "keywords": [
            "denoising",
            "STEM",
            *map("{0[0]}: {0[1]}".format, job.data["labels"].items()),
        ],
        "scientificMetadata": told,
        **more,
    }
