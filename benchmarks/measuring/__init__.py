"""What the benchmarks share: networks, contenders, the page they are timed in, the report."""

import sys
from pathlib import Path

# A benchmark is run by its path; the browser that it drives is the browser tests' own.
sys.path.append(str(Path(__file__).parents[2]))
