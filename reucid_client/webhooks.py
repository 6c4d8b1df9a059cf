"""Checking that a delivery comes from the server, by Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from reucid_client.errors import ReucidClientError

PREFIX = "whsec_"
LEAST_KEY = 16  # bytes; without a secret, as of a setting that is not there, anybody could sign
TOLERANCE = 300.0  # s between the clocks of server and receiver


class SignatureError(ReucidClientError):
    """The delivery is not signed with this secret, or not now: do not believe it."""


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """The message of a delivery: `type`, `timestamp`, `data`.

    Parameters
    ----------
    secret : str
        As the server gave it when the webhook was made: `whsec_...`.
    headers : mapping
        Of the request; the case of their names does not matter.
    body : bytes
        Of the request, as it came.
    tolerance : float
        Seconds that the clocks of server and receiver may differ by.

    Raises
    ------
    SignatureError
        A repetition is no error: `webhook-id` is that of the first, keep it to tell.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = named["webhook-id"], named["webhook-timestamp"]
        signatures = named["webhook-signature"].split(" ")
        key = base64.b64decode(secret[len(PREFIX) :], validate=True)
        apart = abs(time.time() - int(timestamp))
        signed = f"{message_id}.{timestamp}.".encode() + body
        given = [each.encode() for each in signatures]
    except (KeyError, ValueError, OverflowError, binascii.Error) as error:
        raise SignatureError(f"not a signed delivery: {error!r}") from error
    if not secret.startswith(PREFIX) or len(key) < LEAST_KEY:
        raise SignatureError(
            f"got a secret of {len(secret)} characters, expected that of the webhook: {PREFIX}..."
        )
    if apart > tolerance:
        raise SignatureError(
            f"the delivery was signed {apart:.0f} s from now by this machine's clock, expected "
            f"at most {tolerance:.0f} s: it is a repetition of an old one, or a clock is wrong"
        )
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    if not any(hmac.compare_digest(expected, each) for each in given):
        raise SignatureError("the signature is not that of this secret and body")
    message: dict[str, Any] = json.loads(body)
    return message
