"""Files that are the same for everybody: compressed where the client takes it, kept until changed.

For the few and small files of a page; each is read and compressed once.
"""

import gzip
import mimetypes
import re
from functools import lru_cache
from pathlib import Path

from fastapi import Request
from starlette.responses import Response

from app.http.conditional import etag_of, not_modified
from app.http.problems import Problem

MOST_FILES = 256  # kept in memory
REFUSES = re.compile(r"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
TEXTS = ("text/", "application/json", "image/svg+xml")  # the others are compressed as they are


def send_static(
    request: Request, folder: Path, name: str, *, vary: str = "", policy: str
) -> Response:
    """A file of a folder, with the Content-Security-Policy of a page that holds it."""
    path = _found(folder, name)
    status = path.stat()
    content, packed, media_type = _read(path, status.st_mtime_ns, status.st_size)
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy,
        "Vary": ", ".join(filter(None, (vary, "Accept-Encoding"))),
    }
    if packed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        content, headers["Content-Encoding"] = packed, "gzip"
    headers["ETag"] = etag_of(content)
    return not_modified(request, headers) or Response(
        content, media_type=media_type, headers=headers
    )


def _found(folder: Path, name: str) -> Path:
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    except (OSError, ValueError):  # too long, or with a NUL
        pass
    raise Problem(404, "not_found", "there is no such file")


@lru_cache(MOST_FILES)
def _read(path: Path, _changed: int, _size: int) -> tuple[bytes, bytes | None, str]:
    """Content, the same compressed if it is worth it, and its type."""
    content = path.read_bytes()
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    media_type = kind or "application/octet-stream"
    if not media_type.startswith(TEXTS):
        return content, None, media_type
    packed = gzip.compress(content, mtime=0)
    return content, packed if len(packed) < len(content) else None, media_type


def _takes_gzip(accepted: str) -> bool:
    return "gzip" in accepted.lower() and not REFUSES.search(accepted.lower())
