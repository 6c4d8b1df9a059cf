"""What all tests share: reproducible examples, and where real micrographs lie."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "seeded",
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("seeded")

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "real"
REAL = Path(os.environ.get("REUCID_REAL_IMAGES", BESIDE))


@pytest.fixture(scope="session")
def real_images() -> Path:
    """Folder of real micrographs, which the repository does not hold."""
    if not REAL.is_dir():
        pytest.skip("no real micrographs: name their folder with REUCID_REAL_IMAGES")
    return REAL
