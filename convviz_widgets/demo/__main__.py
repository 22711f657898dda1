"""Train the demonstration's runs that this machine lacks: ``python -m convviz_widgets.demo``."""

from __future__ import annotations

import sys
import time

from convviz_widgets.demo.recipe import RECIPES
from convviz_widgets.demo.runs import load


def main() -> int:
    """Make every run and say where it lies."""
    for name in RECIPES:
        start = time.perf_counter()
        run = load(name)
        print(
            f"{name}: {len(run.checkpoints)} checkpoints in {run.directory}, "
            f"validation accuracy {run.accuracy:.3f} on {len(run.validation)} patches "
            f"({time.perf_counter() - start:.1f} s)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
