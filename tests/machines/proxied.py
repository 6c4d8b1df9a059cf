"""Clients of a server behind a proxy, who ask again once."""

from typing import Any

import httpx

from tests.faults.history import Client

OF_THE_PROXY = (502, 504)  # its own answers, when the API it asked has gone


class ProxiedClient(Client):
    """Repeats a question that got a 5xx, or none, at once; a second 5xx breaks the promise."""

    def _ask(self, method: str, path: str, **what: Any) -> httpx.Response | None:
        answer = super()._ask(method, path, **what)
        if answer is not None and answer.status_code < 500:
            return answer
        self._count("asked again")
        again = super()._ask(method, path, **what)
        if again is not None and again.status_code >= 500:
            with self._history.lock:
                self._history.complaints.append(
                    f"{method} {path}: {again.status_code} also when asked again"
                )
        return again

    def _judge(self, kind: str, answer: httpx.Response) -> None:
        if answer.status_code not in OF_THE_PROXY:
            super()._judge(kind, answer)

    def _is_for_now(self, answer: httpx.Response) -> bool:
        return answer.status_code in OF_THE_PROXY or super()._is_for_now(answer)
