"""`reucid healthy`: asked every few seconds on every machine, so it loads next to nothing."""

import http.client
from contextlib import closing

from app.commands.options import Member
from worker.processes.heartbeat import SILENCE, silent_for
from worker.settings import Settings

TIMEOUT = 5.0  # s for an API to say how it is


def healthy(member: Member) -> str | None:
    """What is wrong with a member of this machine, if anything is."""
    settings = Settings()
    if member == "api":
        return _health_of_api(settings)
    try:
        silent = silent_for(settings)
    except OSError as error:
        return f"no sign of life yet: {error.strerror} {error.filename or ''}".rstrip()
    if silent > SILENCE:
        return f"no sign of life for {silent:.0f} s, expected one in {SILENCE:g} s"
    return None


def _health_of_api(settings: Settings) -> str | None:
    """Whether it answers; without ledger or queue it does, and a new start would mend neither."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    try:
        with closing(http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT)) as asked:
            asked.request("GET", f"{settings.root_path}/livez")
            status = asked.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return (
            f"http://{host}:{settings.port}/livez does not answer: {error or type(error).__name__}"
        )
    return None if status == http.client.OK else f"/livez answers {status}, expected 200"
