"""Train what the demonstration shows first, where this machine lacks it.

python -m convviz_widgets.demo          the first network, which the tour begins with
python -m convviz_widgets.demo --all    every network of `RECIPES`
"""

from __future__ import annotations

import argparse
import sys
import time

from convviz_widgets.demo.patches import RECIPES, load


def main(arguments: list[str] | None = None) -> int:
    """Make the first run or all of them, and say where they lie."""
    parser = argparse.ArgumentParser("python -m convviz_widgets.demo", description=__doc__)
    parser.add_argument("--all", action="store_true", help="train every network now")
    names = list(RECIPES)
    made = names if parser.parse_args(arguments).all else names[:1]
    for name in made:
        _make(name, f"{names.index(name) + 1} of {len(names)}")
    for name in names[len(made) :]:
        print(f"network {names.index(name) + 1} of {len(names)}, {name}: trained when first loaded")
    return 0


def _make(name: str, rank: str) -> None:
    start = time.perf_counter()
    run = load(name)
    print(
        f"network {rank}, {name}: {len(run.checkpoints)} checkpoints in {run.directory}, "
        f"validation accuracy {run.accuracy:.3f} on {len(run.validation)} patches "
        f"({time.perf_counter() - start:.1f} s)"
    )


if __name__ == "__main__":
    sys.exit(main())
