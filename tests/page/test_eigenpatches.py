"""A person's verdicts: looked at, taken back, kept."""

from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from app.commands.demo import NOISY
from tests.page.browsers import Visit, gray, levels
from tests.page.conftest import submit
from tests.support.servers import SHORT

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
    visit.page.get_by_role("button", name="Take all back").click()
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
    visit.go("#/jobs")
    visit.page.locator(f"[data-job='{revised}']", has_text="with a person's verdicts").wait_for()


def test_the_verdict_on_a_raw_scan_says_that_it_is_not_on_the_turned_ones(
    visit: Visit, api: httpx.Client
) -> None:
    visit.go(f"#/job/{submit(api, method='two-scale')}")
    visit.wait_for("residual")
    visit.page.get_by_role("button", name=f"Eigenpatch {DROPPED}, kept").click()
    visit.page.get_by_text("This is said of the result as it is").wait_for()
    visit.page.get_by_role("button", name="Take all back").click()
    visit.page.get_by_text("This is said of the result as it is").wait_for(state="hidden")


def test_what_a_large_image_would_be_is_not_asked_for(visit: Visit, job: str) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))

    def small(route: Any) -> None:
        answer = route.fetch()
        able = answer.json()
        able["limits"]["max_raw_pixels"] = 1000
        route.fulfill(response=answer, json=able)

    visit.page.route("**/v1/capabilities", small)
    visit.go(f"#/job/{job}")
    visit.wait_for("denoised")
    visit.page.get_by_role("button", name=f"Eigenpatch {DROPPED}, kept").click()
    visit.page.get_by_text("keep them as a new job to see it").wait_for()
    assert not any("revise/preview" in each for each in asked)


def test_many_stacks_are_chosen_from_a_list(visit: Visit, api: httpx.Client) -> None:
    params = SHORT | {"stacks": 8, "method": "paper"}
    visit.go(f"#/job/{submit(api, NOISY, **params)}")
    visit.page.get_by_label("Stack", exact=True).select_option("stack 8")
    with visit.page.expect_request("**/revise/preview") as asked:
        visit.page.locator(".patch").nth(1).click()
    revision = asked.value.post_data_json
    assert [*revision["keep"], *revision["drop"]] == ["8"]


def test_the_softwares_own_test_of_the_residual_goes_before_the_pages(visit: Visit) -> None:
    """A page that finds a lattice where the report says that there is none contradicts it."""
    visit.go()
    told = {"noise_removed": 0.9, "gain": 3, "structure": 1, "bound": 2}
    report = {"assessment": told, "verdict": ["nothing that repeats is left in the residual"]}
    report |= {"warnings": [], "method": "paper", "stack_reports": []}
    white = {"largest": 0.01, "bound": 0.02}
    structure = {"highest": 99, "bound": 12, "period": 2.09, "share": 0.79, "white": white}
    found = visit.page.evaluate(
        "async given => (await import('./static/parts/verdict.js')).judged(...given)",
        [report, structure],
    )
    assert found["level"] == "good"
    assert not any("signal was removed" in each for each in found["sentences"])


def test_the_other_scan_decision_is_shown_side_by_side(visit: Visit, job: str) -> None:
    visit.go(f"#/job/{job}")
    visit.page.get_by_role("button", name="See it with row streaks removed").click()
    for name in ("raw", "denoised", "other", "residual"):
        visit.wait_for(name)
    visit.shot("both-decisions")
    visit.page.get_by_role("button", name="Wipe between both").click()
    visit.wait_for("wipe")
    visit.page.get_by_text("denoised: row streaks kept | row streaks removed").wait_for()
