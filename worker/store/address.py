"""What `REUCID_STORE_URL` says: a folder, or a bucket and where it is."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from worker.store.errors import UnusableStoreError

EXPECTED = (
    "expected a folder, or s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION, where "
    "prefix, endpoint and region may be left out (REUCID_STORE_URL)"
)
KNOWN = ("endpoint", "region")


@dataclass(frozen=True)
class Bucket:
    """A part of a bucket."""

    name: str
    prefix: str = ""  # ends with a slash, or is empty
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        place = f"s3://{self.name}/{self.prefix}".rstrip("/")
        return f"{place} at {self.endpoint}" if self.endpoint else place


def parsed(url: str) -> Path | Bucket:
    """Where the store is that a URL names.

    Raises
    ------
    UnusableStoreError
        When it names none. What it held is not repeated where it may be a secret.
    """
    if "://" not in url:
        return Path(url).absolute()
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        endpoint = urlsplit(query.get("endpoint", [""])[0])
    except ValueError:
        raise UnusableStoreError(f"got a malformed URL of the store, {EXPECTED}") from None
    if "@" in parts.netloc or "@" in endpoint.netloc:
        raise UnusableStoreError(
            "got a URL of the store with a user or a password: state credentials as AWS's "
            f"programs have them (AWS_ACCESS_KEY_ID, ...; docs/operations.md), {EXPECTED}"
        )
    if parts.scheme == "file" and not parts.netloc and not query:
        return Path(unquote(parts.path))
    if parts.scheme != "s3" or not parts.netloc:
        raise UnusableStoreError(f"got a store of kind {parts.scheme!r}, {EXPECTED}")
    if unknown := sorted(query.keys() - set(KNOWN)):
        raise UnusableStoreError(
            f"got a URL of the store that says {', '.join(unknown)}, {EXPECTED}"
        )
    if endpoint.geturl() and (endpoint.scheme not in ("http", "https") or not endpoint.netloc):
        raise UnusableStoreError(f"got an endpoint that is no http:// or https:// URL, {EXPECTED}")
    prefix = parts.path.strip("/")
    return Bucket(
        parts.netloc,
        f"{prefix}/" if prefix else "",
        endpoint.geturl() or None,
        query.get("region", [""])[0] or None,
    )
