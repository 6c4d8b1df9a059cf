"""From a file to a result, whatever happens on the way."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile

from app.commands.demo import NOISY
from tests.page.browsers import TIMES, Visit
from tests.page.conftest import submit, visiting
from tests.support.servers import LONG, free_port, served
from worker.ledger.database import Database
from worker.ledger.tables import jobs
from worker.settings import Settings

HOSTILE = "<img src=x onerror=alert(1)> & “name”.tif"
LONGER = {**LONG, "stacks": 900}  # longer than a page takes on any machine


def test_from_a_dropped_file_to_a_finished_view(visit: Visit) -> None:
    visit.go()
    visit.page.wait_for_selector(".drop")
    visit.shot("start")
    data = visit.page.evaluate_handle(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name));
          return data;
        }""",
        [NOISY.name, list(NOISY.read_bytes())],
    )
    visit.page.dispatch_event(".drop", "drop", {"dataTransfer": data})
    visit.wait_for("raw")
    visit.shot("setup")
    visit.page.get_by_role("button", name="Denoise", exact=True).click()
    for name in ("raw", "denoised", "residual"):
        visit.wait_for(name)
    visit.page.wait_for_selector(".verdict[data-level]")
    assert visit.page.get_by_role("heading", level=1).inner_text() == NOISY.name
    visit.page.wait_for_selector(".patch canvas")
    visit.shot("result")
    visit.go()
    visit.page.locator("a.choice", has_text=NOISY.name).first.wait_for()


def test_a_part_is_tried_and_leaves_nothing_behind(
    visit: Visit, api: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "trial.tif"
    tifffile.imwrite(file, np.roll(tifffile.imread(NOISY), 3))
    before = len(api.get("/jobs?limit=200").json()["jobs"])
    visit.go()
    visit.upload(file)
    visit.wait_for("raw")
    visit.press("r")
    visit.page.get_by_role("button", name="Try it on a part").click()
    visit.page.get_by_text(f"Trial on 128 {TIMES} 128 px").wait_for()
    for name in ("raw", "denoised", "residual"):
        visit.wait_for(name)
    visit.page.wait_for_selector(".verdict[data-level]")
    visit.shot("trial")
    visit.page.get_by_role("button", name="Back to the whole image").click()
    visit.page.get_by_role("button", name="Try it on a part").wait_for()
    visit.page.wait_for_function(
        "async before => (await (await fetch('v1/jobs?limit=200')).json()).jobs.length === before",
        arg=before,
    )


def test_several_files_make_a_batch(visit: Visit, tmp_path: Path) -> None:
    files = []
    for number in range(3):
        files.append(tmp_path / f"part {number}.tif")
        tifffile.imwrite(files[-1], tifffile.imread(NOISY)[: 96 + number, :120])
    visit.go()
    visit.upload(*files)
    visit.page.get_by_role("heading", name="3 files").wait_for()
    visit.shot("several")
    visit.page.get_by_label("Batch").fill("a batch of three")
    visit.page.get_by_role("button", name="Denoise all").click()
    visit.page.get_by_text("3 of 3 done").wait_for()
    visit.shot("batch")
    with visit.page.expect_download() as waited:
        visit.page.get_by_role("button", name="Save all results").click()
    assert waited.value.path().read_bytes()[:2] == b"PK"


def test_a_stack_is_looked_through_frame_by_frame(
    visit: Visit, api: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "stack.tif"
    image = tifffile.imread(NOISY)[:96, :96]
    stack = np.stack([image, image[::-1], image.T])
    tifffile.imwrite(file, stack, imagej=True, metadata={"axes": "TYX"})
    visit.go(f"#/job/{submit(api, file)}")
    visit.wait_for("residual")
    visit.page.get_by_label("Frame", exact=True).fill("2")
    visit.page.get_by_text("denoised, frame 3").wait_for()
    visit.wait_for("residual")
    for _ in range(20):
        visit.press("+")
    visit.page.locator("canvas[aria-label='raw']").focus()
    visit.press("Shift+ArrowRight")
    visit.page.wait_for_function(
        "() => /[0-9]$/.test(document.querySelector(\".readout [data-value='raw']\").textContent)"
    )
    place = visit.value("place").replace(",", "").split()
    row, column = int(place[1]), int(place[3])
    assert float(visit.value("raw").split()[-1]) == stack[2, row, column]


def test_what_a_file_calls_itself_is_text(visit: Visit) -> None:
    visit.go()
    visit.upload({"name": HOSTILE, "mimeType": "image/tiff", "buffer": NOISY.read_bytes() + b"\0"})
    visit.wait_for("raw")
    assert visit.page.get_by_role("heading", level=1).inner_text() == HOSTILE
    visit.page.get_by_text("Names and labels").click()
    visit.page.get_by_label("Label").fill("<b>bold</b>=<script>alert(1)</script>")
    visit.page.get_by_role("button", name="Denoise", exact=True).click()
    visit.wait_for("denoised")
    assert visit.page.get_by_text("<script>alert(1)</script>").count() == 1
    visit.go("#/jobs")
    visit.page.get_by_role("link", name=HOSTILE).first.wait_for()
    assert visit.page.locator("main b, main script, main img").count() == 0


def test_a_file_that_cannot_be_read_says_so_in_words(visit: Visit) -> None:
    visit.expected = (422, 415)
    visit.go()
    visit.upload({"name": "broken.tif", "mimeType": "image/tiff", "buffer": b"II*\0 broken"})
    visit.page.get_by_role("alert").wait_for()
    visit.page.get_by_text("not taken").wait_for()
    visit.shot("refused")


def test_the_address_of_a_job_can_be_sent_and_gone_back_to(visit: Visit, job: str) -> None:
    visit.go("#/jobs")
    visit.page.locator(f"[data-job='{job}'] a").first.click()
    visit.wait_for("denoised")
    address = visit.page.url
    visit.page.go_back()
    visit.page.get_by_role("heading", name="History").wait_for()
    visit.shot("history")
    visit.page.go_forward()
    visit.wait_for("denoised")
    visit.page.reload()
    visit.wait_for("denoised")
    other = visit.page.context.new_page()  # a second tab
    other.goto(address)
    other.wait_for_selector("canvas[aria-label='denoised']")


def test_deleting_can_be_taken_back(visit: Visit, api: httpx.Client) -> None:
    job = submit(api, seed=7)
    visit.go(f"#/job/{job}")
    visit.page.get_by_role("button", name="Delete").click()
    visit.page.get_by_role("heading", name="History").wait_for()
    assert visit.page.locator(f"[data-job='{job}']").count() == 0
    visit.page.get_by_role("button", name="Undo").click()
    visit.page.locator(f"[data-job='{job}']").wait_for()
    assert api.get(f"/jobs/{job}").status_code == 200
    visit.page.get_by_label("Choose si110_low_dose.tif").first.wait_for()
    visit.page.locator(f"[data-job='{job}'] input").check()
    visit.page.get_by_role("button", name="Delete").click()
    visit.page.get_by_label("Close this message").click()
    visit.page.wait_for_function(
        "async job => [404, 410].includes((await fetch(`v1/jobs/${job}`)).status)", arg=job
    )
    visit.wrongs = [each for each in visit.wrongs if job not in each and "status of 4" not in each]


def start_long(client: httpx.Client) -> str:
    fields = {"params": json.dumps(LONGER)}
    answer = client.post("/jobs", files={"file": ("long.tif", NOISY.read_bytes())}, data=fields)
    job: str = answer.raise_for_status().json()["id"]
    return job


def test_a_reload_during_a_job_goes_on_watching(visit: Visit, api: httpx.Client) -> None:
    job = start_long(api)
    visit.go(f"#/job/{job}")
    visit.page.get_by_text("interim").first.wait_for()
    visit.shot("running")
    visit.page.reload()
    visit.page.get_by_text("interim").first.wait_for()
    visit.page.get_by_role("button", name="Finish with what there is").click()
    visit.wait_for("residual")
    visit.page.get_by_text("It was stopped early").wait_for()
    visit.page.get_by_label("Interim", exact=True).fill("1")
    visit.page.get_by_text("interim 1").first.wait_for()


def test_a_canceled_job_says_what_to_do(visit: Visit, api: httpx.Client) -> None:
    job = start_long(api)
    visit.go(f"#/job/{job}")
    visit.page.get_by_role("button", name="Cancel").click()
    visit.page.get_by_text("This job was canceled").wait_for()


def test_a_restart_of_the_server_is_waited_for(browser: Any, tmp_path: Path) -> None:
    port = str(free_port())
    data = tmp_path / "data"
    visits: Iterator[Visit] | None = None
    # Without a grace the job does not end while the server does.
    with served(data, "--port", port, REUCID_STOP_GRACE_S="0") as server:
        with httpx.Client(base_url=f"{server.url}/v1", timeout=60, trust_env=False) as client:
            job = start_long(client)
        visits = visiting(browser, server.url)
        visit = next(visits)
        visit.expected = (0, 409, 502, 503)  # interim results of the lost attempt are gone
        visit.go(f"#/job/{job}")
        visit.page.get_by_text("interim").first.wait_for()
    visit.page.locator(".banner", has_text="The server does not answer").wait_for()
    visit.shot("away")
    with served(data, "--port", port):
        visit.page.locator(".banner", has_text="The server does not answer").wait_for(
            state="hidden"
        )
        visit.page.get_by_role("button", name="Finish with what there is").click()
        visit.wait_for("residual")
        with pytest.raises(StopIteration):
            next(visits)


def test_an_expired_result_says_so(browser: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as server:
        with httpx.Client(base_url=f"{server.url}/v1", timeout=60, trust_env=False) as client:
            job = submit(client)
        database = Database.open(Settings(data_dir=data).ledger_url)
        with database.writing() as connection:
            connection.execute(jobs.update().values(expires_at=time.time() - 60))
        database.close()
        visits = visiting(browser, server.url)
        visit = next(visits)
        visit.expected = (410,)
        visit.go(f"#/job/{job}")
        visit.page.get_by_role("heading", name="This has expired").wait_for()
        with pytest.raises(StopIteration):
            next(visits)


def test_a_file_over_the_limit_is_refused_before_it_is_sent(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "data", REUCID_MAX_UPLOAD_MIB="1") as server:
        visits = visiting(browser, server.url)
        visit = next(visits)
        sent: list[str] = []
        visit.page.on("request", lambda request: sent.append(request.method))
        visit.go()
        visit.upload({"name": "big.tif", "mimeType": "image/tiff", "buffer": bytes(2**20 + 1)})
        visit.page.get_by_role("heading", name="This file is too large").wait_for()
        assert "POST" not in sent
        with pytest.raises(StopIteration):
            next(visits)


@pytest.fixture
def emi(real_images: Path, tmp_path: Path) -> list[Path]:
    files = [real_images / "sto_titan80_1024.emi", real_images / "sto_titan80_1024_1.ser"]
    return [Path(shutil.copy(each, tmp_path)) for each in files]


def test_an_emi_without_its_series_is_not_sent(visit: Visit, emi: list[Path]) -> None:
    sent: list[str] = []
    visit.page.on("request", lambda request: sent.append(request.method))
    visit.go()
    visit.upload(emi[0])
    visit.page.get_by_text("Drop both together").wait_for()
    assert "POST" not in sent


def test_an_emi_goes_with_its_series(visit: Visit, emi: list[Path]) -> None:
    visit.go()
    visit.upload(*emi)
    visit.wait_for("raw")
    assert visit.page.get_by_role("heading", level=1).inner_text() == "sto_titan80_1024.emi"
    visit.page.get_by_text("80 keV").wait_for()
