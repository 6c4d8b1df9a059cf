"""What `app.http.connections` takes for granted of uvicorn, which promises none of it."""

import ast
import asyncio
import inspect
import textwrap
from importlib.metadata import version

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.http.connections import PatientProtocol

WORDS = (
    f"uvicorn {version('uvicorn')} has no {{}}: read app/http/connections.py against its "
    "HttpToolsProtocol, and keep the bound on uvicorn in pyproject.toml below the release that "
    "took it away"
)
OVERRIDDEN = sorted(
    name
    for name, value in vars(PatientProtocol).items()
    if inspect.isfunction(value) and not name.startswith("_")
)


async def application(scope: object, receive: object, send: object) -> None:
    """Never called."""


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_uvicorn_has_what_is_overridden(name: str) -> None:
    theirs = getattr(HttpToolsProtocol, name, None)
    assert theirs is not None, WORDS.format(f"HttpToolsProtocol.{name}")
    ours = getattr(PatientProtocol, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), (
        WORDS.format(f"HttpToolsProtocol.{name} with these parameters")
    )


def test_uvicorn_has_what_is_used() -> None:
    """Everything that the class says `self.` of, and does not define itself."""
    source = ast.parse(textwrap.dedent(inspect.getsource(PatientProtocol)))
    used = {
        node.attr
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    assert {"transport", "loop", "cycle"} <= used
    loop = asyncio.new_event_loop()
    protocol = PatientProtocol(Config(application, log_config=None), ServerState(), {}, loop)
    for name in used:
        assert hasattr(protocol, name), WORDS.format(f"HttpToolsProtocol.{name}")
    loop.close()


@pytest.mark.parametrize("name", ["response_complete", "more_body"])
def test_uvicorn_tells_how_far_a_request_is(name: str) -> None:
    assigned = ast.parse(textwrap.dedent(inspect.getsource(RequestResponseCycle.__init__)))
    names = {node.attr for node in ast.walk(assigned) if isinstance(node, ast.Attribute)}
    assert name in names, WORDS.format(f"RequestResponseCycle.{name}")


def test_the_test_finds_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(HttpToolsProtocol, "timeout_keep_alive_handler")
    with pytest.raises(AssertionError, match=r"uvicorn .* has no .*timeout_keep_alive_handler"):
        test_uvicorn_has_what_is_overridden("timeout_keep_alive_handler")
