"""The cases' own modules are no package: they are found beside this file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
