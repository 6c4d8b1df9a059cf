"""The live view: rows fill in, the last results can be looked at, and a job is made at the end."""

import httpx
import numpy as np

from tests.page.browsers import Visit
from tests.support.live import frame_of

SHAPE = (128, 160)
TO_BLACK = 40  # of 255


def put(api: httpx.Client, session_id: str, frame: int, stop: int = SHAPE[0]) -> None:
    pixels = frame_of(frame, SHAPE)[:stop]
    headers = {"Reucid-Rows": f"0-{stop - 1}"}
    here = f"/sessions/{session_id}/frames/{frame}"
    api.put(here, content=pixels.tobytes(), headers=headers).raise_for_status()


def brightness(visit: Visit, name: str, down: tuple[float, float]) -> float:
    """The mean gray of a part of a canvas."""
    places = [(x, y) for x in np.linspace(0.1, 0.9, 7) for y in np.linspace(*down, 5)]
    return float(np.mean([visit.colour(name, float(x), float(y))[0] for x, y in places]))


def test_a_session_from_the_first_rows_to_its_job(visit: Visit, api: httpx.Client) -> None:
    session = api.post("/sessions", json={"shape": list(SHAPE), "sample_id": "Si110"}).json()
    session_id = session["id"]
    try:
        visit.go("#/sessions")
        visit.page.get_by_role("link", name="Si110").click()
        visit.page.get_by_text("Waiting for the first rows").wait_for()
        put(api, session_id, 0, 64)
        visit.page.get_by_text("rows to 63").wait_for()
        assert brightness(visit, "raw", (0.05, 0.45)) > TO_BLACK
        assert brightness(visit, "denoised", (0.05, 0.45)) > TO_BLACK
        assert brightness(visit, "denoised", (0.55, 0.95)) == 0
        for frame in (1, 2, 3):
            put(api, session_id, frame)
            visit.page.get_by_text(f"Frame {frame}, whole").wait_for()
        assert brightness(visit, "denoised", (0.55, 0.95)) > TO_BLACK
        visit.shot("live")
        visit.page.reload()  # somebody comes in the middle of it
        visit.page.get_by_text("Frame 3, whole").wait_for()
        slider = visit.page.get_by_label("Last results").last
        slider.focus()
        for _ in range(3):
            visit.page.keyboard.press("ArrowLeft")
        visit.page.get_by_text("frame 1", exact=True).wait_for()
        visit.page.keyboard.press("End")
        visit.page.get_by_role("button", name="Keep this").click()
        visit.page.locator("[data-job]").first.wait_for()
        visit.page.get_by_role("button", name="Stop here").click()
        visit.page.get_by_text("The session has ended (closed)").wait_for()
        assert visit.page.locator("[data-job]").count() == 2
    finally:
        api.delete(f"/sessions/{session_id}")
