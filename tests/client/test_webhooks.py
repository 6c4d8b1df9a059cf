"""Deliveries are believed when their signature and their time are right."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from reucid_client.webhooks import SignatureError, verify
from worker.webhooks.signature import signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
BODY = b'{"test": 2432232314}'


def test_the_example_of_the_standard() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, of its libraries' tests
    made = signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_the_server_signs_is_verified() -> None:
    headers = signed(SECRET, "msg_1", int(time.time()), BODY)
    assert verify(SECRET, headers, BODY) == json.loads(BODY)
    named = {name.title(): value for name, value in headers.items()}
    named["Webhook-Signature"] = f"v2,x {named['Webhook-Signature']}"  # others beside it
    assert verify(SECRET, named, BODY) == json.loads(BODY)


@pytest.mark.parametrize("shift", [-3600, 3600])
def test_a_delivery_of_another_hour_is_not(shift: int) -> None:
    headers = signed(SECRET, "msg_1", int(time.time()) + shift, BODY)
    with pytest.raises(SignatureError, match="clock"):
        verify(SECRET, headers, BODY)
    assert verify(SECRET, headers, BODY, tolerance=4000)


def test_a_forgery_is_not() -> None:
    headers = signed(SECRET, "msg_1", int(time.time()), BODY)
    for forged in (
        {**headers, "webhook-id": "msg_2"},
        {**headers, "webhook-signature": "v1,AAAA"},
        {**headers, "webhook-signature": "v1,\u00fc"},
        {**headers, "webhook-timestamp": "soon"},
        {},
    ):
        with pytest.raises(SignatureError):
            verify(SECRET, forged, BODY)
    with pytest.raises(SignatureError):
        verify(SECRET, headers, BODY + b" ")
    with pytest.raises(SignatureError):
        verify("whsec_!", headers, BODY)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA"])
def test_without_a_secret_nobody_is_believed(secret: str) -> None:
    """As of a setting that is not there: anybody could sign with that."""
    stated = str(int(time.time()))
    key = base64.b64decode(secret[len("whsec_") :])
    digest = hmac.new(key, f"msg_1.{stated}.".encode() + BODY, hashlib.sha256).digest()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stated,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    with pytest.raises(SignatureError, match="secret"):
        verify(secret, headers, BODY)


@pytest.mark.parametrize("changed", [{"webhook-timestamp": "9" * 400}, {"webhook-id": "\ud800"}])
def test_nonsense_in_a_header_is_a_forgery_and_no_other_error(changed: dict[str, str]) -> None:
    headers = signed(SECRET, "msg_1", int(time.time()), BODY) | changed
    with pytest.raises(SignatureError):
        verify(SECRET, headers, BODY)
