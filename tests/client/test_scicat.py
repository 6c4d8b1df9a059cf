"""The record of a denoising for SciCat, held against its own schema where that is installed."""

import json
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from reucid_client import Client, Result
from reucid_client.scicat import derived_dataset
from tests.client.test_client import image

STATED: dict[str, Any] = {
    "owner": "Ada",
    "owner_group": "em",
    "contact_email": "ada@example.org",
    "source_folder": "/data/em/7/denoised",
    "input_datasets": ["20.500.1/7"],
}


@pytest.fixture(scope="module", params=[(32, 40), (2, 32, 40)], ids=["image", "stack"])
def noisy(request: pytest.FixtureRequest) -> np.ndarray[Any, Any]:
    return np.stack([image(81), image(82)]) if len(request.param) == 3 else image(81)


@pytest.fixture
def result(client: Client, noisy: np.ndarray[Any, Any]) -> Result:
    labels = {"instrument": "STEM 2"}
    return client.denoise(noisy, patch_size=5, method="paper", labels=labels, sample_id="S1")


def test_a_record_says_what_was_done(result: Result) -> None:
    record = derived_dataset(result.job, result.report, **STATED, accessGroups=["all"])
    assert json.loads(json.dumps(record)) == record
    assert record["jobParameters"]["patch_size"] == 5
    assert record["scientificMetadata"]["verdict"] == list(result.verdict) != []
    assert record["scientificMetadata"]["sample_id"] == "S1"
    assert record["creationTime"] == result.job.data["finished_at"]
    assert "instrument: STEM 2" in record["keywords"]
    assert any(each.startswith("reucid ") for each in record["usedSoftware"])
    assert (record["investigator"], record["accessGroups"]) == ("Ada", ["all"])


def test_what_is_no_derived_dataset_is_refused(result: Result) -> None:
    with pytest.raises(ValueError, match="that failed"):
        derived_dataset(replace(result.job, state="failed"), result.report, **STATED)
    with pytest.raises(ValueError, match="no input dataset"):
        derived_dataset(result.job, result.report, **STATED | {"input_datasets": []})


@pytest.mark.skipif(find_spec("pyscicat") is None, reason="needs pyscicat, SciCat's own client")
def test_scicats_own_schema_takes_it(result: Result) -> None:
    from pyscicat.model import DerivedDataset

    record = derived_dataset(result.job, result.report, **STATED)
    taken = DerivedDataset(**record)
    assert taken.model_dump(exclude_none=True, exclude_defaults=True, mode="json").keys() >= (
        record.keys() - {"type"}
    )
