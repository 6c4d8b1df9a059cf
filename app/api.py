"""`python -m app.api FD`: one API process, on a listening socket that it was given.

Nothing heavy is imported at the top: every child process of the decoder imports this module, since
it is the main one of its parent.
"""

import socket
import sys

GRACE = 5  # s an open request has to end when the process is told to


def main() -> None:
    """Serve until told to stop."""
    import uvicorn

    from app.main import create_app
    from worker import logs
    from worker.settings import Settings

    settings = Settings()
    logs.configure(as_json=settings.log_json, level=settings.log_level)
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,  # ours has no queries
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
