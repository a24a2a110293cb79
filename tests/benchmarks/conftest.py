"""The measurements are run from the repository's root and installed nowhere: the root is put on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
