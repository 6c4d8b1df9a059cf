"""The binary message, there and back, and what is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.live.messages import CODES, HEADER, Flag, Kind, Message, MessageError


@given(data=st.data(), frame=st.integers(0, 2**53), first=st.integers(0, 99))
def test_a_message_comes_back_as_it_was(data: st.DataObject, frame: int, first: int) -> None:
    dtype = data.draw(st.sampled_from(sorted(CODES)))
    pixels = data.draw(arrays(dtype, (3, 5)))
    flags = data.draw(st.sampled_from([Flag(0), Flag.WHOLE, Flag.WHOLE | Flag.UNDENOISED]))
    sent = Message(Kind.DENOISED, (200, 5), frame, first, pixels, 7, 1.5, 2.5, 38, flags)
    got = Message.from_bytes(sent.to_bytes())
    assert got.pixels.tobytes() == sent.pixels.tobytes()
    assert (got.kind, got.shape, got.frame, got.first_row, got.rows) == (
        2,
        (200, 5),
        frame,
        first,
        3,
    )
    assert (got.sequence, got.captured_at, got.received_at) == (7, 1.5, 2.5)
    assert (got.age_ms, got.flags) == (38, flags)


def test_the_header_is_of_64_bytes_for_ever() -> None:
    assert HEADER.size == 64
    sent = Message(Kind.MEASURED, (2, 3), 1, 0, np.zeros((2, 3), np.uint16)).to_bytes()
    assert sent[:4] == b"RCD1"
    assert math.isnan(Message.from_bytes(sent).captured_at)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError, match="got"):
        Message.from_bytes(data)


@given(st.integers(0, 64 + 11), st.integers(0, 255))
def test_a_damaged_message_is_refused_or_another(at: int, value: int) -> None:
    sent = bytearray(Message(Kind.MEASURED, (2, 3), 1, 0, np.ones((2, 3), np.uint16)).to_bytes())
    sent[at] = value
    try:
        got = Message.from_bytes(bytes(sent))
    except MessageError:
        return
    assert got.pixels.nbytes == len(sent) - HEADER.size
