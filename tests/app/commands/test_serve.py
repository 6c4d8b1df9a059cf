"""How the server listens."""

import os
import socket
from pathlib import Path

import pytest
import typer

from app.commands.serve import hold, listen
from worker.settings import Settings


def test_connections_send_without_delay() -> None:
    with (
        listen(Settings(port=0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_folder_has_one_server_at_a_time(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(typer.BadParameter, match=f"process {os.getpid()}"):
        hold(tmp_path)
    hold(tmp_path).close()
