"""How the server listens."""

import socket

from app.commands.serve import _listen
from worker.settings import Settings


def test_connections_send_without_delay() -> None:
    with (
        _listen(Settings(port=0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
