"""`python -m app.api FD`: one API process, on a listening socket that it was given.

Nothing heavy is imported at the top: every child process of the decoder imports this module, since
it is the main one of its parent.
"""

import resource
import socket
import sys

MOST_FILES = 16_384  # open ones, connections mostly


def main() -> None:
    """Serve until told to stop."""
    from app.api.main import create_app
    from app.http.connections import DrainingServer, configured
    from worker import logs
    from worker.kernel import keep_few_heaps
    from worker.settings import Settings

    settings = Settings()
    logs.configure(as_json=settings.log_json, level=settings.log_level)
    keep_few_heaps()
    _allow_many_connections()
    app = create_app(settings)
    server = DrainingServer(configured(app, settings), lambda: app.state.services.wakes.let_go())
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


def _allow_many_connections() -> None:
    """Each takes a file descriptor, of which a process often gets 1024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


if __name__ == "__main__":
    main()
