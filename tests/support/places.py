"""Where things lie in the repository, and beside it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
BESIDE = ROOT.parent / "shared" / "data" / "real"  # real micrographs, which it does not hold
FIELD = ROOT.parent / "shared" / "field"  # inputs that were read wrong once, which it does not hold
