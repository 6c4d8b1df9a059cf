"""A real nginx before several APIs, set as docs/deployment.md has it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.servers import free_port, ready, start
from tests.support.waiting import until

SET = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    {paths}
    upstream reucid {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://reucid;
            proxy_set_header Host              $http_host;
            proxy_set_header X-Forwarded-For   $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout   1s;
            client_max_body_size    0;
            proxy_request_buffering off;
            proxy_buffering         off;
            proxy_read_timeout      1h;
        }}
    }}
}}
"""
PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class NoNginxError(Exception):
    """Why there is no nginx here."""


def program() -> str:
    """The path of nginx."""
    found = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
    if found is None:
        raise NoNginxError("nginx is not installed (on Debian: apt install nginx-light)")
    return found


@contextlib.contextmanager
def nginx(folder: Path, apis: Sequence[str]) -> Iterator[str]:
    """The address of a proxy before these, while the context lasts."""
    folder.mkdir()
    port = free_port()
    servers = [f"server {urlsplit(url).netloc} max_fails=0;" for url in apis]
    paths = [f"{name}_temp_path {folder}/{name};" for name in PATHS]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        SET.format(
            folder=folder,
            port=port,
            servers="\n        ".join(servers),
            paths="\n    ".join(paths),
        )
    )
    process = start(
        program(), "-p", folder, "-c", configuration, log=folder / "log", environment={}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: ready(url), f"a proxy at {url}; see {folder}")
        yield url
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
