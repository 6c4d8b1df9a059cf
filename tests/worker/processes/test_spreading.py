"""A stack that is spread is what one worker makes of it, whoever does its parts."""

import io
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.buckets import S3Server
from tests.support.inprocess import Api, running
from tests.support.waiting import until
from worker.bundles.verification import verify
from worker.contract import EventType, PartState, State, Work
from worker.denoising.artifacts import COVERAGE, EIGENPATCHES, REPORT, RESULT
from worker.ledger.attempt import Attempt
from worker.ledger.parts import Doing, Parts
from worker.processes import helping, job, part, spreading
from worker.processes.sweep import Sweeper
from worker.store import StoreAwayError
from worker.store.bucket import BucketStore
from worker.store.objects import Objects

FRAMES, SIDE = 7, 40
PART = 3 * SIDE**2  # pixels: 2, 2 and 3 frames
PAPER = {"method": "paper", "patch_size": 5, "components": 9}


@pytest.fixture(params=["folder", "bucket"])
def api(request: pytest.FixtureRequest, tmp_path: Path, model: Path) -> Iterator[Api]:
    stated: dict[str, Any] = {"part_pixels": PART}
    stated["model"] = shutil.copy(model, tmp_path / "random.safetensors")  # its own, to be removed
    if request.param == "bucket":
        request.getfixturevalue("credentials")
        server: S3Server = request.getfixturevalue("s3")
        stated["store_url"] = server.url(server.bucket())
    with running(tmp_path / "data", **stated) as api:
        yield api


@pytest.fixture(scope="session")
def stack() -> bytes:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    lattice = 30 + 10 * np.cos(rows / 1.3) * np.cos(columns / 1.7)
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(4).poisson(lattice, (FRAMES, SIDE, SIDE)).astype("u2"))
    return buffer.getvalue()


def submit(api: Api, stack: bytes, params: dict[str, Any]) -> str:
    with api.client() as client:
        answer = client.post(
            "/jobs",
            files={"file": ("stack.npy", stack)},
            data={"params": json.dumps(params)},
        )
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id


def help_with(api: Api, job_id: str, name: str = "helper") -> None:
    """Do parts of a job, as the work horse of an idle worker would."""
    with patch.dict(os.environ, api.settings.as_environment() | {"RQ_WORKER_ID": name}):
        helping.run(job_id)


def spread(api: Api, job_id: str) -> Attempt:
    """The claimed first attempt at a job in three parts; none of them is done."""
    attempt = Attempt(api.database, job_id, 1, "in-process")
    assert attempt.claim(60)
    assert Parts(api.database).spread(attempt, Work.FRAMES, [(0, 2), (2, 4), (4, 7)], FRAMES)
    return attempt


def again(api: Api, job_id: str) -> None:
    """Give up the attempt, and make the next one."""
    Attempt(api.database, job_id, 1, "in-process").hand_back()
    api.work(job_id, 2)


def files_of(api: Api, job_id: str) -> dict[str, Any]:
    """The artifacts of a job, with what is the same whoever made them."""
    record = api.jobs.get(job_id)
    assert record.state is State.SUCCEEDED, record.failure
    paths = {each.name: api.store.artifact(record, each.name) for each in record.artifacts}
    held: dict[str, Any] = {n: paths[n].read_bytes() for n in (RESULT, COVERAGE) if n in paths}
    with np.load(paths[EIGENPATCHES]) as patches:
        held[EIGENPATCHES] = {name: patches[name].tobytes() for name in patches}
    held[REPORT] = json.loads(paths[REPORT].read_bytes())
    held["parts"] = held[REPORT].pop("parts", None)
    for report in (held[REPORT], *held[REPORT]["frame_reports"]):
        assert report.pop("seconds")
    return held


def alone(api: Api, stack: bytes, params: dict[str, Any]) -> dict[str, Any]:
    """The artifacts that one worker makes of the whole stack."""
    job_id = submit(api, stack, params)
    whole = api.settings.model_copy(update={"part_pixels": 2**22})
    with patch.dict(os.environ, whole.as_environment() | {"RQ_WORKER_ID": "alone"}):
        job.run(job_id, 1)
    return files_of(api, job_id)


@pytest.mark.parametrize(
    "params", [{}, PAPER, {"method": "paper", "patch_size": 5, "stacks": 2}, {"signal": 0}]
)
def test_the_result_is_that_of_one_worker(api: Api, stack: bytes, params: dict[str, Any]) -> None:
    expected = alone(api, stack, params)
    assert expected.pop("parts") is None
    job_id = submit(api, stack, params)
    attempt = spread(api, job_id)
    help_with(api, job_id)  # all of it: nobody else does anything
    found = Parts(api.database).of_job(job_id, Work.FRAMES)
    assert [(each.state, each.worker) for each in found] == [(PartState.DONE, "helper")] * 3
    assert api.jobs.get(job_id).stacks_done == FRAMES
    again(api, job_id)
    files = files_of(api, job_id)
    told = files.pop("parts")
    assert files == expected
    assert [(each["first_frame"], each["frames"]) for each in told] == [(0, 2), (2, 2), (4, 3)]
    assert {each["worker"] for each in told} == {"helper"}
    events = [e.data for e in api.jobs.events(job_id) if e.type is EventType.INTERIM]
    assert [(e["n"], e["stacks"], e["frame"]) for e in events] == [
        (n + 1, FRAMES, n) for n in range(FRAMES)
    ]
    assert Parts(api.database).of_job(attempt.job_id, Work.FRAMES) == []


def test_without_help_the_job_does_all_parts(api: Api, stack: bytes, tmp_path: Path) -> None:
    expected = alone(api, stack, {})
    job_id = submit(api, stack, {})
    api.work(job_id)
    files = files_of(api, job_id)
    assert [each["worker"] for each in files["parts"]] == ["in-process"] * 3
    assert files[RESULT] == expected[RESULT]
    with api.client() as client:
        bundle = client.get(f"/jobs/{job_id}/bundle.zip").content
    (tmp_path / "bundle.zip").write_bytes(bundle)
    found = verify(tmp_path / "bundle.zip")
    assert found.verified, found


def test_several_at_once_do_each_part_once(api: Api, stack: bytes) -> None:
    expected = alone(api, stack, PAPER)
    job_id, made = submit(api, stack, PAPER), part.denoise_signal
    met = threading.Barrier(2, timeout=60)
    numbers: list[int] = []

    def together(signal: NDArray[Any], *arguments: Any, **named: Any) -> dict[str, Any]:
        if len(numbers) < 2:
            numbers.append(len(signal))
            met.wait()  # both are at a part
        return made(signal, *arguments, **named)

    def helped() -> None:
        until(lambda: Parts(api.database).open_to_help(1), "a part that may be helped with")
        helping.run(job_id)

    environment = api.settings.as_environment() | {"RQ_WORKER_ID": "both"}
    with patch.object(part, "denoise_signal", together), patch.dict(os.environ, environment):
        helper = threading.Thread(target=helped)
        helper.start()
        job.run(job_id, 1)
        helper.join()
    files = files_of(api, job_id)
    assert {each["attempt"] for each in files.pop("parts")} == {1}
    assert files[RESULT] == expected[RESULT]


JOINT = [
    {"frames": "joint"},
    {"frames": "joint", "method": "paper"},
    PAPER | {"frames": "joint"},
]


@pytest.mark.parametrize("params", JOINT)
def test_joint_frames_are_added_up_by_all(api: Api, stack: bytes, params: dict[str, Any]) -> None:
    """The result is that of one worker, but for the order in which frames are added."""
    expected = alone(api, stack, params)
    job_id = submit(api, stack, params)

    def helped() -> None:
        while not api.jobs.get(job_id).state.terminal:
            until(
                lambda: Parts(api.database).open_to_help(1) or api.jobs.get(job_id).state.terminal
            )
            helping.run(job_id)

    environment = api.settings.as_environment() | {"RQ_WORKER_ID": "both"}
    with patch.dict(os.environ, environment):
        helper = threading.Thread(target=helped)
        helper.start()
        job.run(job_id, 1)
        helper.join()
    files = files_of(api, job_id)
    found, wanted = (np.load(io.BytesIO(each[RESULT])) for each in (files, expected))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * wanted.max())
    assert files[EIGENPATCHES].keys() == expected[EIGENPATCHES].keys()
    for one, all_ in zip(
        expected[REPORT]["frame_reports"], files[REPORT]["frame_reports"], strict=True
    ):
        assert one["patch_size"] == all_["patch_size"]
        for before, now in zip(one["stack_reports"], all_["stack_reports"], strict=True):
            assert (before["kept"], before["n_patches"]) == (now["kept"], now["n_patches"])
            np.testing.assert_allclose(before["singular_values"], now["singular_values"], rtol=1e-6)
    assert len(files["parts"]) == 3
    assert Parts(api.database).all_of_job(job_id) == []


@pytest.mark.parametrize("params", JOINT[:2])
def test_what_was_added_up_outlasts_its_attempt(
    api: Api, stack: bytes, params: dict[str, Any]
) -> None:
    job_id = submit(api, stack, params)
    with patch.object(part, "denoise_signal", side_effect=StoreAwayError("gone")):
        api.work(job_id)
    assert api.jobs.get(job_id).attempt == 2
    with patch.object(part.Maker, "_add_up", side_effect=AssertionError("added up again")):
        api.work(job_id, 2)
    assert len(files_of(api, job_id)["parts"]) == 3


def is_there(api: Api, part_id: str) -> bool:
    """Whether there are files of a part."""
    if isinstance(api.store, BucketStore):
        return bool(list(Objects(api.store._bucket).listed(f"jobs/{part_id}/")))
    return (api.store.root / "jobs" / part_id).exists()


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [damage, remove])
def test_a_part_whose_files_are_not_what_they_were_is_done_again(
    api: Api, stack: bytes, harm: Callable[[Path], None]
) -> None:
    expected = alone(api, stack, PAPER)
    job_id = submit(api, stack, PAPER)
    spread(api, job_id)
    help_with(api, job_id)
    found = Parts(api.database).of_job(job_id, Work.FRAMES)[1]
    harm(api.store.artifact(found, RESULT))
    if isinstance(api.store, BucketStore):  # what was harmed is a copy
        Objects(api.store._bucket).delete([f"jobs/{found.id}/attempts/1/{RESULT}"])
    again(api, job_id)
    files = files_of(api, job_id)
    attempts = [(each["worker"], each["attempt"]) for each in files.pop("parts")]
    assert attempts == [("helper", 1), ("in-process", 2), ("helper", 1)]
    assert files[RESULT] == expected[RESULT]


@pytest.mark.parametrize("params", [PAPER, PAPER | {"frames": "joint"}])
def test_a_disk_that_damages_whatever_is_written_ends_the_job(
    api: Api, stack: bytes, params: dict[str, Any]
) -> None:
    job_id = submit(api, stack, params)
    looks = iter(range(20))

    def damaged(path: Path) -> str:
        assert next(looks, None) is not None, f"{path.name} is done again and again"
        return "0" * 64

    with patch.object(spreading, "sha256_of", damaged):
        api.work(job_id)
    failure = api.jobs.get(job_id).failure
    assert failure is not None
    assert failure.code == "damaged_artifact"
    assert "frames 1 to 2" in failure.detail


def test_what_another_version_has_made_is_made_again(api: Api, stack: bytes) -> None:
    job_id = submit(api, stack, PAPER)
    spread(api, job_id)
    with patch("reucid_core.pipeline.library_versions", return_value={"numpy": "0"}):
        help_with(api, job_id)
    again(api, job_id)
    files = files_of(api, job_id)
    assert {each["worker"] for each in files["parts"]} == {"in-process"}
    assert {each["versions"]["numpy"] for each in files[REPORT]["frame_reports"]} == {
        np.__version__
    }


def test_a_helper_that_fails_leaves_its_part_to_the_job(api: Api, stack: bytes) -> None:
    job_id = submit(api, stack, PAPER)
    spread(api, job_id)
    with patch.object(part, "denoise_signal", side_effect=MemoryError):
        help_with(api, job_id)
    assert not api.jobs.get(job_id).state.terminal
    again(api, job_id)
    assert files_of(api, job_id)["parts"][0]["worker"] == "in-process"


def test_a_stack_that_cannot_be_denoised_fails_in_its_own_name(api: Api, stack: bytes) -> None:
    job_id = submit(api, stack, PAPER)
    assert api.settings.model is not None
    api.settings.model.unlink()
    spread(api, job_id)
    help_with(api, job_id)
    again(api, job_id)
    failure = api.jobs.get(job_id).failure
    assert failure is not None
    assert failure.code == "invalid_model"


@pytest.mark.parametrize("params", [PAPER, {}])
def test_no_frame_is_begun_after_the_deadline(
    api: Api, stack: bytes, params: dict[str, Any]
) -> None:
    late = {name: value for name, value in params.items() if name != "components"}
    job_id = submit(api, stack, late | {"deadline": 0.0})
    api.work(job_id)
    report = files_of(api, job_id)[REPORT]
    assert (report["frames_done"], report["stopped_by"]) == (1, "deadline")


def test_finish_keeps_the_frames_that_are_done(api: Api, stack: bytes) -> None:
    expected = np.load(io.BytesIO(alone(api, stack, PAPER)[RESULT]))
    job_id = submit(api, stack, PAPER)
    attempt = spread(api, job_id)
    parts = Parts(api.database)
    first = parts.take(attempt, Work.FRAMES, 60)
    assert first is not None
    help_with(api, job_id)  # with the others
    owner = api.jobs.get(job_id).request.owner
    assert Doing(api.database, first).leave()
    api.jobs.request_finish(job_id, owner=owner)
    again(api, job_id)
    files = files_of(api, job_id)
    done = files[REPORT]["frames_done"]
    assert (done, files[REPORT]["stopped_by"]) == (1, "request")
    result = np.load(io.BytesIO(files[RESULT]))
    np.testing.assert_array_equal(result[:done], expected[:done])
    np.testing.assert_array_equal(result[done:], np.load(io.BytesIO(stack))[done:])


def test_what_was_made_for_a_job_that_was_canceled_is_swept(api: Api, stack: bytes) -> None:
    job_id = submit(api, stack, PAPER)
    spread(api, job_id)
    help_with(api, job_id)
    held = Parts(api.database).of_job(job_id, Work.FRAMES)
    assert all(is_there(api, each.id) for each in held)
    api.jobs.cancel(job_id, owner=api.jobs.get(job_id).request.owner)
    help_with(api, job_id)
    Sweeper(api.database, api.store, api.settings).sweep()
    assert Parts(api.database).of_job(job_id, Work.FRAMES) == []
    for each in held:
        assert not is_there(api, each.id)
