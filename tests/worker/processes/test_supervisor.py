"""The supervisor keeps processes alive, as far as the machine lets it."""

import os
import sys
from pathlib import Path

from tests.support.waiting import until
from worker.processes.supervisor import Service


def test_a_process_that_cannot_be_started_now_is_started_later(tmp_path: Path) -> None:
    command = tmp_path / "sleeper"
    service = Service("sleeper", [str(command)], os.environ)
    service.keep_alive()
    assert service.process is None
    command.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    command.chmod(0o700)

    def started() -> bool:
        service.keep_alive()
        return service.process is not None

    until(started)
    service.kill()
