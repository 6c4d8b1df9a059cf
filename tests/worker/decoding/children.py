"""Children of the decoder that do what a test has them do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.worker.decoding import insiders
from worker.decoding import apart
from worker.decoding.terms import PRINTED


def in_child(act: Callable[..., Any], folder: Path, *arguments: Any) -> Any:
    """What a function returns when a child has entered its limits."""
    folder.mkdir(exist_ok=True)
    process = apart._context.Process(target=insiders.act_inside, args=(act, folder, arguments))
    process.start()
    process.join(60)
    assert process.exitcode == 0, (folder / PRINTED).read_text()
    return json.loads((folder / "returned").read_text())
