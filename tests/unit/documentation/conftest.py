"""Makes the tools that build the documentation importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "packaging/docs/_tools"))
