"""Send frames to a live session of a REUCID server from a microscope's own Python, 3.6 or later.

Needs nothing but the standard library. In a script of the microscope::

    with Sender("http://server:8000", (512, 512), "uint16", key="...") as sender:
        while scanning():
            sender.send(number, frame.tobytes())  # little-endian, row by row
            sender.send(number, rows.tobytes(), first_row=64)  # or a part of it

`send` never waits for the network: a thread of its own sends, and what it has no time for is left
out, oldest first, and counted in `sender.left_out`. As a command it sends raw frames from a file or
a pipe::

    python3 send_frames.py http://server:8000 --shape 512 512 --dtype uint16 < frames.raw
"""

import argparse
import collections
import datetime
import http.client
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse
from typing import Any, Deque, Dict, Optional, Tuple

Answer = Dict[str, Any]
Headers = Dict[str, str]
Block = Tuple[int, int, int, bytes, str]  # frame, first row, rows, pixels, time

ITEMSIZE = {"uint8": 1, "uint16": 2, "int16": 2, "uint32": 4, "float32": 4}
WAITING = 64  # blocks of rows at most
TIMEOUT = 30.0  # s
AWAY = 1.0  # s until a server that is away is asked again
LAST_WAIT = 10.0  # s for what is waiting at the end


class RefusedError(Exception):
    """The server does not take it, and says why."""


class Server:
    """One connection to a server, opened again when it breaks; for one thread."""

    def __init__(self, url: str, key: str = "") -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("got the address %r, expected http://HOST:PORT" % url)
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._root = parts.path.rstrip("/")
        self._headers = {"Authorization": "Bearer " + key} if key else {}
        self._connection: Optional[http.client.HTTPConnection] = None

    def ask(self, method: str, path: str, body: bytes, headers: Headers) -> Answer:
        """The server's answer, from JSON; OSError where it cannot be reached or has no room."""
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        try:
            connection.request(method, self._root + path, body, dict(self._headers, **headers))
            response = connection.getresponse()
            told = response.read()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            self._connection = None
            raise OSError(str(error) or type(error).__name__)  # noqa: B904
        answer = json.loads(told.decode("utf-8")) if told else {}
        if response.status in (429, 503):
            raise OSError(answer.get("detail", "the server has no room"))
        if response.status >= 400:
            raise RefusedError(answer.get("detail", "the server answered %d" % response.status))
        return dict(answer)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)


class Sender:
    """A live session: opened here, closed by `close` or at the end of a `with`.

    `shape` is (rows, columns), `dtype` a name in ITEMSIZE; `options` are those of
    POST /v1/sessions, such as memory_frames=8 or params={"method": "paper"}.
    """

    def __init__(
        self,
        url: str,
        shape: Tuple[int, int],
        dtype: str,
        key: str = "",
        **options: object,
    ) -> None:
        self.left_out = 0  # blocks that there was no time for, or that were refused
        self.counts: Answer = {}  # what the server says has come of the frames
        self.trouble = ""  # the last one
        self._rows, self._row_bytes = shape[0], shape[1] * ITEMSIZE[dtype]
        self._server = Server(url, key)
        spec = dict(options, shape=list(shape), dtype=dtype)
        session = self._json("POST", "/v1/sessions", spec)
        self.path = "/v1/sessions/%s" % session["id"]
        self._waiting: Deque[Block] = collections.deque()
        self._ready = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._work, name="reucid", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, number: int, pixels: bytes, first_row: int = 0) -> None:
        """Hand in whole rows of frame `number`, numbers growing; returns at once."""
        rows, rest = divmod(len(pixels), self._row_bytes)
        if rest or not 0 < rows <= self._rows - first_row:
            raise ValueError(
                "got %d bytes from row %d, expected whole rows of %d bytes within %d rows"
                % (len(pixels), first_row, self._row_bytes, self._rows)
            )
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        with self._ready:
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                self.left_out += 1
            self._waiting.append((number, first_row, rows, pixels, now))
            self._ready.notify()

    def close(self, keep: str = "last") -> Answer:
        """Send what is waiting and end the session; `keep` ("" for nothing) becomes a job."""
        with self._ready:
            self._over = True
            self._ready.notify()
        self._thread.join(LAST_WAIT + TIMEOUT)
        try:
            return self._json("POST", self.path + "/close", {"keep": keep or None})
        finally:
            self._server.close()

    def _work(self) -> None:
        until = None
        while True:
            with self._ready:
                while not self._waiting and not self._over:
                    self._ready.wait()
                if self._over and until is None:
                    until = time.time() + LAST_WAIT
                if not self._waiting or (until is not None and time.time() > until):
                    self.left_out += len(self._waiting)
                    return
                block = self._waiting.popleft()
            try:
                self._put(*block)
            except RefusedError as error:
                self.trouble = str(error)
                self.left_out += 1
            except OSError as error:
                self.trouble = str(error)
                with self._ready:
                    if len(self._waiting) < WAITING:
                        self._waiting.appendleft(block)
                    else:
                        self.left_out += 1
                time.sleep(AWAY)

    def _put(self, number: int, first: int, rows: int, pixels: bytes, captured_at: str) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Reucid-Rows": "%d-%d" % (first, first + rows - 1),
            "Reucid-Captured-At": captured_at,
        }
        path = "%s/frames/%d" % (self.path, number)
        self.counts = self._server.ask("PUT", path, pixels, headers)

    def _json(self, method: str, path: str, told: Answer) -> Answer:
        headers = {"Content-Type": "application/json"}
        return self._server.ask(method, path, json.dumps(told).encode("utf-8"), headers)


def main() -> None:
    """Send raw frames from standard input until it ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--shape", type=int, nargs=2, required=True, metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--dtype", choices=sorted(ITEMSIZE), default="uint16")
    parser.add_argument("--rows", type=int, help="sent at a time; by default the whole frame")
    given = parser.parse_args()
    rows, columns = given.shape
    at_a_time = given.rows or rows
    key = os.environ.get("REUCID_API_KEY", "")
    with Sender(given.url, (rows, columns), given.dtype, key) as sender:
        number = 0
        while True:
            for first in range(0, rows, at_a_time):
                size = min(at_a_time, rows - first) * columns * ITEMSIZE[given.dtype]
                pixels = sys.stdin.buffer.read(size)
                if len(pixels) < size:
                    break
                sender.send(number, pixels, first)
            else:
                number += 1
                continue
            break
    sys.stderr.write(
        "%d frames, %d blocks left out %s\n" % (number, sender.left_out, sender.trouble)
    )


if __name__ == "__main__":
    main()
