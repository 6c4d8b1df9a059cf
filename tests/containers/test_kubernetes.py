"""`docker/kubernetes.yaml` is what Kubernetes takes, and says what the image needs."""

from typing import Any

import pytest

from tests.support.places import ROOT
from worker.settings import Settings

yaml = pytest.importorskip("yaml")
validator = pytest.importorskip(
    "kubernetes_validate", reason="no validator: pip install 'reucid[containers]'"
)

FILE = ROOT / "docker" / "kubernetes.yaml"
MEMBERS = {"api": ["api"], "dispatch": ["dispatch"], "work": ["work"], "live": ["work", "--live"]}


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILE.read_text()))


def test_every_resource_is_valid(resources: list[dict[str, Any]]) -> None:
    assert len(resources) > 6
    for resource in resources:
        validator.validate(resource, validator.latest_version(), strict=True)


def test_the_validator_finds_what_is_wrong(resources: list[dict[str, Any]]) -> None:
    wrong = resources[0] | {"dat": {}}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, validator.latest_version(), strict=True)


def test_members_run_as_nobody_on_a_read_only_root_and_in_time(
    resources: list[dict[str, Any]],
) -> None:
    (settings,) = (each["data"] for each in resources if each["kind"] == "ConfigMap")
    known = {f"REUCID_{name.upper()}" for name in Settings.model_fields}
    assert set(settings) <= known
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in resources
        if each["kind"] == "Deployment"
    }
    assert set(pods) == {f"reucid-{member}" for member in MEMBERS}
    for member, command in MEMBERS.items():
        pod = pods[f"reucid-{member}"]
        (container,) = pod["containers"]
        assert container["args"] == command
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert pod["securityContext"]["runAsNonRoot"]
    grace = pods["reucid-work"]["terminationGracePeriodSeconds"]
    assert grace > 1.2 * float(settings["REUCID_STOP_GRACE_S"])
