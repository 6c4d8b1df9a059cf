"""`reucid doctor`: whether a deployment is in order, in words."""

from collections.abc import Iterator
from importlib.metadata import version

import httpx
import typer

from worker.doctor import Finding, Level, examine
from worker.settings import Settings

SIGNS = {"ok": "ok     ", "warning": "warning", "fault": "FAULT  "}


def doctor(settings: Settings, url: str | None) -> int:
    """Print every finding; the exit status, 1 when there is a fault."""
    faults = 0
    for finding in examine(settings):
        faults += _say(finding)
    for finding in _server(settings, url) if url else ():
        faults += _say(finding)
    typer.echo(f"{faults} fault(s)" if faults else "no fault")
    return 1 if faults else 0


def _say(finding: Finding) -> bool:
    line = f"{SIGNS[finding.level]} {finding.check}: {finding.found}"
    typer.echo(line + (f"; {finding.advice}" if finding.advice else ""))
    return bool(finding.level == "fault")


def _server(settings: Settings, url: str) -> Iterator[Finding]:
    """What a client of the server sees, with the key of the environment."""
    headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=10) as client:
            yield from _answers(client)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        advice = "is the server running, the address right, and the proxy's path REUCID_ROOT_PATH?"
        yield Finding("server", "fault", f"{url}: {error or type(error).__name__}", advice)


def _answers(client: httpx.Client) -> Iterator[Finding]:
    health = client.get("/readyz").json()
    levels: dict[str, Level] = {"ok": "ok", "degraded": "warning", "down": "fault"}
    yield Finding(
        "server", levels[health["status"]], "; ".join([health["status"], *health["problems"]])
    )
    theirs, ours = client.get("/v1/version").json()["version"], version("reucid")
    if theirs != ours:
        yield Finding("version", "warning", f"the server has {theirs}, this is {ours}")
    jobs = client.get("/v1/jobs", params={"limit": 1})
    if jobs.is_success:
        yield Finding("access", "ok", "jobs can be listed")
    else:
        advice = "set REUCID_API_KEY to a key with the scope read"
        yield Finding("access", "warning", jobs.json()["detail"], advice)
    host = client.base_url.host
    if client.base_url.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
        advice = "put a TLS proxy before the server: keys can be read on the way"
        yield Finding("transport", "fault", f"plain HTTP to {host}", advice)
