"""What a project needs, as a requirements file: pip has no way to install that alone.

`python requirements.py pyproject.toml EXTRA...`
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *(each for name in sys.argv[2:] for each in extras[name]), sep="\n")
