"""What a live session has been like: noise, patch size and verdicts as they changed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from reucid_core.live import LiveFrame

MOST_POINTS = 64  # that are told; of more, every second one is left out
NOISE_STEP = 0.1  # relative change of the noise variance that is told


class Course:
    """Points in the life of a session, each a frame from which something was different."""

    def __init__(self, points: Iterable[Mapping[str, Any]] = ()) -> None:
        self._points: list[Mapping[str, Any]] = list(points)

    def note(self, frame: LiveFrame) -> str | None:
        """Note a whole frame; all points as JSON when it is one of them, else None."""
        point = frame.to_dict()
        del point["rows"]
        if self._points and not _differs(self._points[-1], point):
            return None
        self._points.append(point)
        if len(self._points) > MOST_POINTS:
            self._points = [self._points[0], *self._points[2::2]]
        return json.dumps(self._points)


def _differs(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if now["scene_changed"] or any(
        before[name] != now[name] for name in ("patch_size", "kept", "blank")
    ):
        return True
    old, new = before["noise_variance"], now["noise_variance"]
    if old is None or new is None:
        return bool(old != new)
    return bool(abs(new - old) > NOISE_STEP * old)
