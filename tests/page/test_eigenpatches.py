"""A person's verdicts: looked at, taken back, kept."""

from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.page.browsers import Visit, gray, levels

DROPPED, KEPT = 2, 12  # eigenpatches, from 1; their verdicts are the other way round


def centre(visit: Visit) -> int:
    """How the middle of the denoised image is shown."""
    return visit.colour("denoised", 0.51, 0.51)[0]


def test_a_verdict_is_turned_taken_back_and_kept(
    visit: Visit, api: httpx.Client, job: str, numbers: dict[str, NDArray[Any]]
) -> None:
    visit.go(f"#/job/{job}")
    visit.wait_for("denoised")
    visit.page.wait_for_selector(".verdict[data-level='look']")
    for _ in range(12):
        visit.press("+")
    visit.page.get_by_role("button", name=f"Eigenpatch {DROPPED}, kept").click()
    visit.page.get_by_text("1 verdict is yours").wait_for()
    visit.page.get_by_role("button", name=f"Eigenpatch {KEPT}, dropped").click()
    visit.page.get_by_text("2 verdicts are yours").wait_for()
    visit.page.wait_for_selector(".verdict[data-level='bad']")
    revision = {"keep": {"1": [KEPT]}, "drop": {"1": [DROPPED]}}
    answer = api.post(f"/jobs/{job}/revise/preview", json=revision).raise_for_status()
    preview = np.frombuffer(answer.content, "<f4").reshape(256, 256)
    assert abs(centre(visit) - gray(float(preview[128, 128]), *levels(visit))) <= 1
    visit.shot("override")

    visit.page.get_by_role("button", name="Undo").click()
    visit.page.get_by_text("1 verdict is yours").wait_for()
    visit.page.get_by_role("button", name="Back to the network's").click()
    visit.page.wait_for_selector(".verdict[data-level='look']")
    visit.wait_for("denoised")
    visit.drawn()
    original = float(numbers["denoised"][128, 128])
    assert abs(centre(visit) - gray(original, *levels(visit))) <= 1

    visit.page.get_by_role("button", name=f"Eigenpatch {DROPPED}, kept").click()
    visit.page.get_by_role("button", name="Keep as a new job").click()
    visit.page.wait_for_url(lambda url: url.split("/")[-1] not in ("", job))
    revised = visit.page.url.split("/")[-1]
    assert api.get(f"/jobs/{revised}?wait=60").json()["revision_of"] == job
    report = api.get(f"/jobs/{revised}/report").json()["stack_reports"][0]
    assert report["judged_by"][DROPPED - 1] == "person"
    assert not report["kept"][DROPPED - 1]
    visit.page.get_by_text("by a person", exact=True).first.wait_for()


def test_the_other_scan_decision_is_shown_side_by_side(visit: Visit, job: str) -> None:
    visit.go(f"#/job/{job}")
    visit.page.get_by_role("button", name="See it with row streaks removed").click()
    for name in ("raw", "denoised", "other", "residual"):
        visit.wait_for(name)
    visit.shot("both-decisions")
    visit.page.get_by_role("button", name="Wipe between both").click()
    visit.wait_for("wipe")
    visit.page.get_by_text("denoised | row streaks removed").wait_for()
