"""The client of a live session: it sends rows, and tells what has become of them."""

import time
from collections.abc import Sequence
from typing import Any, Self

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from app.commands.live.scanning import Block, Film, scan
from reucid_client import ReucidClientError
from reucid_client.wire import TIMEOUT, checked, headers_for, problem_of
from reucid_core.training.micrographs.drifting import Drifting

PATIENCE = httpx.Timeout(10.0, read=90.0)  # while a job is made of what is kept
TOLD_EVERY = 0.25  # s
COUNTED = {
    "received": "received by the server",
    "processed": "denoised and shown whole",
    "superseded": "shown in part",
    "dropped": "left out by the server",
    "waiting": "waiting",
    "age_ms": "age of the newest result, ms",
}


class Session:
    """A live session of a server: opened on entry, closed at the latest on exit.

    Parameters
    ----------
    url : str
        Of the server.
    key : str or None
    shape : (int, int)
        Of the frames, in px.
    mode : {"latest", "lossless"}
    memory_frames : float
        Half-life of what earlier frames have shown, in frames.
    method : str
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        shape: tuple[int, int],
        mode: str,
        memory_frames: float,
        method: str,
    ) -> None:
        self._http = httpx.Client(base_url=checked(url), timeout=TIMEOUT, headers=headers_for(key))
        self.lossless = mode == "lossless"
        self._spec = {
            "shape": list(shape),
            "dtype": "uint16",
            "mode": mode,
            "memory_frames": memory_frames,
            "params": {"method": method},
            "labels": {"instrument": "simulated"},
        }
        self._path = ""
        self.jobs: list[str] = []

    def __enter__(self) -> Self:
        try:
            session = self._accepted("POST", "/v1/sessions", json=self._spec).json()
        except ReucidClientError:
            self._http.close()
            raise
        self._path = f"/v1/sessions/{session['id']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._path:
                self.end(None)
        except ReucidClientError:
            pass  # what went wrong before is told
        finally:
            self._http.close()

    @property
    def url(self) -> str:
        """Of the session."""
        return f"{str(self._http.base_url).rstrip('/')}{self._path}"

    def send(self, block: Block) -> dict[str, Any]:
        """Hand rows in; what has come of all so far. Waits where the server has no room."""
        last = block.first_row + len(block.rows) - 1
        moment = block.captured_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "Content-Type": "application/octet-stream",
            "Reucid-Rows": f"{block.first_row}-{last}",
            "Reucid-Captured-At": moment,
        }
        pixels = block.rows.astype("<u2", copy=False).tobytes()
        while True:
            path = f"{self._path}/frames/{block.frame}"
            response = self._answer("PUT", path, content=pixels, headers=headers)
            if response.status_code not in (429, 503) or not self.lossless:
                break
            time.sleep(float(response.headers.get("Retry-After", "1")))
        if response.status_code in (429, 503):
            return {}  # this block is lost, as with a microscope
        counts: dict[str, Any] = self._checked(response).json()
        return counts

    def end(self, keep: str | None) -> None:
        """Close the session; what is kept becomes a job."""
        path = f"{self._path}/close"
        answer = self._accepted("POST", path, json={"keep": keep}, timeout=PATIENCE)
        self._path = ""
        self.jobs = answer.json()["jobs"]

    def _accepted(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._checked(self._answer(method, path, **options))

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Asked once: what comes late is of no use to a live view."""
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise problem_of(None, error, self._http.base_url) from error

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_error:
            raise problem_of(response, None, self._http.base_url)
        return response


def play(
    session: Session,
    specimens: Sequence[Drifting],
    *,
    seconds: float,
    at_a_time: int,
    number: int,
) -> None:
    """Scan specimens and send them, and tell how it goes."""
    film = Film(specimens, number)
    sent: set[int] = set()
    counts: dict[str, Any] = {}
    told_at = 0.0
    with Live(console=Console(), auto_refresh=False) as shown:
        for block in scan(
            film, number=number, seconds=seconds, at_a_time=at_a_time, waits=session.lossless
        ):
            counts = session.send(block) or counts
            sent.add(block.frame)
            if time.monotonic() - told_at > TOLD_EVERY:
                told_at = time.monotonic()
                shown.update(_table(session, block.frame + 1, len(sent), counts), refresh=True)
        shown.update(_table(session, number, len(sent), counts), refresh=True)


def _table(session: Session, scanned: int, sent: int, counts: dict[str, Any]) -> Table:
    table = Table(title=session.url, show_header=False)
    table.add_row("frames scanned", str(scanned))
    table.add_row("left out here, for lack of time", str(scanned - sent))
    for name, words in COUNTED.items():
        if counts.get(name) is not None:
            table.add_row(words, str(counts[name]))
    return table
