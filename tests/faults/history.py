"""Clients that do not trust the server: they ask again until they are answered, and note it all."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.faults.cases import Case

PATIENCE = 180.0  # s until a client gives up on an answer
PAUSE = 0.1  # s before a question is asked again
TERMINAL = ("succeeded", "failed", "canceled")


@dataclass
class Submission:
    """One job a client wants, and all that it has been told about it."""

    key: str
    case: Case
    ids: set[str] = field(default_factory=set)  # by every answer to the submission
    states: list[str] = field(default_factory=list)  # in the order of the answers
    events: list[tuple[int, str]] = field(default_factory=list)
    read_to_the_end: bool = False
    results: list[str] = field(default_factory=list)  # SHA-256 of what was served
    cancel_answers: list[str] = field(default_factory=list)

    @property
    def job_id(self) -> str:
        (job_id,) = self.ids
        return job_id


@dataclass
class History:
    """What all clients have noted."""

    submissions: list[Submission] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)  # answers that should not have been
    seconds: dict[str, list[float]] = field(default_factory=dict)  # by kind of request
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def accepted(self) -> list[Submission]:
        with self.lock:
            return [each for each in self.submissions if each.ids]


class Client:
    """One client, with a connection of its own."""

    def __init__(
        self,
        url: str,
        history: History,
        seed: int,
        allowed: tuple[int, ...] = (503,),
        key: str | None = None,
    ) -> None:
        self.rng = Random(seed)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(
            base_url=f"{url}/v1", headers=headers, timeout=20.0, trust_env=False
        )
        self._history = history
        self._allowed = allowed
        self._name = f"client{seed}"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, case: Case, **fields: str) -> Submission:
        """Submit a job, again with the same key until it is accepted."""
        with self._history.lock:
            number = len(self._history.submissions)
            wanted = Submission(f"{self._name}-{number}", case)
            self._history.submissions.append(wanted)
        self.submit_again(wanted, **fields)
        return wanted

    def submit_again(self, wanted: Submission, *, in_turn: bool = True, **fields: str) -> None:
        """Repeat a submission; answers that several get at once are in no order."""
        answer = self._persist(
            "POST",
            "/jobs",
            files={"file": ("lattice.npy", wanted.case.content)},
            data={"params": wanted.case.params} | fields,
            headers={"Idempotency-Key": wanted.key},
        )
        if in_turn:
            self._note(wanted, answer)
        if answer.status_code == 202:
            wanted.ids.add(answer.json()["id"])

    def try_to_submit(self, case: Case) -> tuple[Submission, httpx.Response | None]:
        """Submit a job once; the answer, if there was any."""
        with self._history.lock:
            number = len(self._history.submissions)
            wanted = Submission(f"{self._name}-{number}", case)
            self._history.submissions.append(wanted)
        answer = self._ask(
            "POST",
            "/jobs",
            files={"file": ("lattice.npy", case.content)},
            data={"params": case.params},
            headers={"Idempotency-Key": wanted.key},
        )
        if answer is not None and answer.status_code == 202:
            wanted.ids.add(answer.json()["id"])
        return wanted, answer

    def follow(self, wanted: Submission) -> None:
        """Wait for the end of a job, by long polls or by its events."""
        if self.rng.random() < 0.3:
            self.read_events(wanted)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self._persist("GET", f"/jobs/{wanted.job_id}", params={"wait": 10})
            self._note(wanted, answer)
            if wanted.states[-1:] and wanted.states[-1] in TERMINAL:
                return

    def read_events(self, wanted: Submission) -> None:
        """Read a job's events to the end, resuming after the last whenever the stream breaks."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            last = wanted.events[-1][0] if wanted.events else 0
            leave_after = self.rng.randint(1, 6)
            try:
                for event in self._stream(wanted.job_id, last):
                    wanted.events.append(event)
                    leave_after -= 1
                    if event[1] in TERMINAL:
                        wanted.read_to_the_end = True
                        return
                    if not leave_after:
                        break
            except httpx.HTTPError:
                self._count("events: no answer")
                time.sleep(PAUSE)

    def fetch(self, wanted: Submission) -> None:
        """Download the result of a job, whether there should be one or not."""
        answer = self._persist("GET", f"/jobs/{wanted.job_id}/result", params={"format": "npy"})
        if answer.status_code == 200:
            wanted.results.append(hashlib.sha256(answer.content).hexdigest())

    def cancel(self, wanted: Submission) -> None:
        answer = self._persist("POST", f"/jobs/{wanted.job_id}/cancel")
        self._note(wanted, answer)
        if answer.is_success:
            wanted.cancel_answers.append(answer.json()["state"])

    def live(self, cases: list[Case], count: int) -> None:
        """Submit so many jobs, one after the other, and see each to its end."""
        for _ in range(count):
            self.see_through(cases)

    def see_through(self, cases: list[Case]) -> None:
        """Submit a job and see it to its end."""
        wanted = self.submit(self.rng.choice(cases))
        if self.rng.random() < 0.1:
            self.submit_again(wanted)
        if self.rng.random() < 0.1:
            self.fetch(wanted)  # surely too early
        if self.rng.random() < 0.05:
            time.sleep(self.rng.random())
            self.cancel(wanted)
        self.follow(wanted)
        self.fetch(wanted)

    def _stream(self, job_id: str, after: int) -> Iterator[tuple[int, str]]:
        headers = {"Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/jobs/{job_id}/events", headers=headers) as answer:
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                elif "id" in fields:
                    json.loads(fields["data"])
                    yield int(fields["id"]), fields["event"]
                    fields = {}

    def _persist(self, method: str, path: str, **what: Any) -> httpx.Response:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self._ask(method, path, **what)
            if answer is not None and not self._is_for_now(answer):
                return answer
            time.sleep(PAUSE)
        raise AssertionError(f"no answer to {method} {path} in {PATIENCE:g} s")

    def _ask(self, method: str, path: str, **what: Any) -> httpx.Response | None:
        kind = f"{method} /{path.split('/')[-1] if path.count('/') != 2 else 'jobs/{id}'}"
        begun = time.perf_counter()
        try:
            answer = self._http.request(method, path, **what)
        except httpx.HTTPError as error:
            self._count(f"{kind}: {type(error).__name__}")
            return None
        with self._history.lock:
            seconds = self._history.seconds.setdefault(kind, [])
            seconds.append(time.perf_counter() - begun)
        self._count(f"{kind}: {answer.status_code}")
        self._judge(kind, answer)
        return answer

    def _judge(self, kind: str, answer: httpx.Response) -> None:
        status, media = answer.status_code, answer.headers.get("content-type", "")
        wrong = status >= 400 and media != "application/problem+json"
        if wrong or (status >= 500 and status not in self._allowed):
            with self._history.lock:
                self._history.complaints.append(f"{kind}: {status} {media} {answer.text[:300]}")

    def _note(self, wanted: Submission, answer: httpx.Response) -> None:
        if answer.is_success:
            wanted.states.append(answer.json()["state"])

    def _count(self, what: str) -> None:
        with self._history.lock:
            self._history.statuses[what] += 1

    def _is_for_now(self, answer: httpx.Response) -> bool:
        """Whether it will be another one if the question is asked again."""
        if answer.status_code == 409:
            return bool(answer.json().get("code") == "in_flight")
        return answer.status_code in (503, 507)
