"""A client of the API: submit a file, follow the job, fetch everything it yields."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from worker.denoising.reports import has_departures
from worker.formats.text import printable

MOST_LOST = 30  # polls in a row, a second apart, that may fail while a job is followed
GLANCE = 0.25  # s of one long poll; short, for the sake of the progress display
PARTS = {  # of a job, by the names they are saved under
    "result.tif": "result",
    "residual.tif": "residual",
    "coverage.tif": "coverage",
    "departures.tif": "departures",
    "report.json": "report",
    "eigenpatches.png": "eigenpatches.png",
}
PATIENCE = httpx.Timeout(10.0, read=60.0, write=300.0)


class ClientError(Exception):
    """The server refused or cannot be reached; `ours` where the fault is not the user's."""

    def __init__(self, message: str, *, ours: bool) -> None:
        super().__init__(message)
        self.ours = ours


@dataclass(frozen=True)
class Update:
    """What a progress display needs to know."""

    state: str
    stage: str | None
    stacks_done: int
    stacks: int | None


class Client:
    """The jobs of one server."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            self._http = httpx.Client(base_url=url, timeout=PATIENCE, headers=headers)
        except httpx.InvalidURL as error:
            raise ClientError(f"got the address {url!r}: {error}", ours=False) from error
        if self._http.base_url.scheme not in ("http", "https"):
            raise ClientError(f"got the address {url!r}, expected http://HOST:PORT", ours=False)

    @property
    def url(self) -> str:
        """Of the server."""
        return str(self._http.base_url).rstrip("/")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, paths: Sequence[Path], params: Mapping[str, Any]) -> str:
        """Send a file, with those that belong to it, and parameters; the accepted job's id."""
        with ExitStack() as stack:
            files = [
                ("file", (printable(path.name), stack.enter_context(path.open("rb"))))
                for path in paths
            ]
            data = {"params": json.dumps(dict(params))}
            response = self.request("POST", "/v1/jobs", files=files, data=data)
        return str(response.json()["id"])

    def follow(self, job_id: str) -> Iterator[Update]:
        """The job as it moves, the terminal state last; survives a server that is away for long."""
        path = f"/v1/jobs/{job_id}"
        etag = ""
        lost = 0
        while True:
            try:
                response = self.request(
                    "GET", path, params={"wait": GLANCE}, headers={"If-None-Match": etag}
                )
            except ClientError as error:
                lost += 1
                if not error.ours or lost > MOST_LOST:
                    raise
                time.sleep(1.0)
                continue
            lost = 0
            if response.status_code == 200:
                job = response.json()
                etag = response.headers["ETag"]
                yield Update(job["state"], job["stage"], job["stacks_done"], job["stacks"])
                if job["state"] not in ("queued", "running"):
                    return

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as the server shows it."""
        job: dict[str, Any] = self.request("GET", f"/v1/jobs/{job_id}").json()
        return job

    def fetch(self, job_id: str, part: str, path: Path, **query: Any) -> Path:
        """Download one part of a succeeded job into a file, whole or not at all."""
        temporary = path.with_name(f".{path.name}.part")
        url = f"/v1/jobs/{job_id}/{part}"
        try:
            with self._http.stream("GET", url, params=query) as response:
                if response.is_error:
                    response.read()
                    raise _refused(response)
                with temporary.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
            return temporary.replace(path)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def fetch_all(self, job_id: str, folder: Path, prefix: str = "") -> list[Path]:
        """Download all images of a job, the interim ones too, its report and eigenpatches.

        `prefix` goes before each of `PARTS`, and before `interim-0001.tif` and so on.
        """
        stacks = int(self.job(job_id)["stacks_done"])
        report = self.request("GET", f"/v1/jobs/{job_id}/report").json()
        parts = [
            (part, name)
            for name, part in PARTS.items()
            if part != "departures" or has_departures(report)
        ]
        parts += [(f"interim/{n}", f"interim-{n:04d}.tif") for n in range(1, stacks + 1)]
        return [
            self.fetch(job_id, part, folder / f"{prefix}{name}", **_query(name))
            for part, name in parts
        ]

    def verdict(self, job_id: str) -> list[str]:
        """What the result of a succeeded job says of itself, in sentences."""
        sentences: list[str] = self.request("GET", f"/v1/jobs/{job_id}/verdict").json()["sentences"]
        return sentences

    def ready(self) -> bool:
        """Whether the server takes jobs and has a worker for them."""
        try:
            response = self._http.get("/readyz", timeout=2.0)
        except httpx.TransportError:
            return False
        return response.status_code == 200 and response.json()["status"] == "ok"

    def _unreachable(self, error: Exception) -> ClientError:
        return ClientError(
            f"cannot reach {self._http.base_url}: {error}; is `reucid serve` running there?",
            ours=True,
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An answer of the server that is no refusal."""
        return checked(self.answer(method, path, **options))

    def answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """What the server answers, whatever it is."""
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error


def checked(response: httpx.Response) -> httpx.Response:
    """An answer, if it is no refusal.

    Raises
    ------
    ClientError
    """
    if response.is_error:
        raise _refused(response)
    return response


def _query(name: str) -> dict[str, str]:
    return {"format": "tiff"} if name.endswith(".tif") else {}


def _refused(response: httpx.Response) -> ClientError:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered {response.status_code}"
    return ClientError(str(detail), ours=response.status_code >= 500)
