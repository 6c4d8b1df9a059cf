"""What else is installed beside REUCID changes nothing for its readers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import files
from tests.worker.decoding import insiders
from tests.worker.decoding.children import in_child
from worker.decoding import landlock

OPTIONAL = ("distributed", "hdf5plugin")  # tried by dask and RosettaSciIO as they read
INSPECT = """
import sys
from pathlib import Path
from worker.decoding.inspection import inspect_file
for name in sys.argv[1:]:
    print(inspect_file(Path(name)).signals[0].format)
"""


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_optional_libraries_that_read_what_is_denied_do_no_harm(tmp_path: Path) -> None:
    """As dask's `distributed` does, which comes with abTEM or HyperSpy."""
    site = tmp_path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    for name in OPTIONAL:
        (site / f"{name}.py").write_text("open('/proc/meminfo').close()\n")
    pixels = np.arange(3 * 12 * 18, dtype=np.uint16).reshape(3, 12, 18)
    files.write_velox(tmp_path / "velox", ("HAADF", pixels))
    files.write_ncem(tmp_path / "ncem", pixels)
    files.write_hspy(tmp_path / "hspy", pixels)
    formats = ["velox", "ncem", "hspy"]
    # The child may read the user's own site-packages, but a virtual environment leaves them out.
    places = {
        "PYTHONUSERBASE": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(site), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", INSPECT, *(str(tmp_path / each) for each in formats)],
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == formats, done.stderr


def test_a_child_imports_what_its_server_has_loaded_and_pythons_own(tmp_path: Path) -> None:
    names = ["numpy", "numpy.polynomial.laguerre", "xml.sax", "fastapi", "hypothesis"]
    assert in_child(insiders.importable, tmp_path / "own", names) == names[:3]
