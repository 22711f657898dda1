"""Train what the demonstration shows, where this machine lacks it.

python -m convviz_widgets.demo                       the first network, which the tour begins with
python -m convviz_widgets.demo demo undertrained     those that are named
"""

from __future__ import annotations

import argparse
import sys
import time

import convviz_widgets as cvw
from convviz_widgets.demo.patches import RECIPES, load


def main(arguments: list[str] | None = None) -> int:
    """Make the first run, or those that are named, and say where they lie."""
    names = list(RECIPES)
    parser = argparse.ArgumentParser("python -m convviz_widgets.demo")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    wanted = parser.parse_args(arguments).names
    try:
        for name in wanted or names[:1]:
            _make(name)
    except cvw.InputError as error:
        parser.error(str(error))
    for name in [] if wanted else names[1:]:
        print(f"{_rank(name)}, {name}: trained when it is first loaded")
    return 0


def _make(name: str) -> None:
    start = time.perf_counter()
    run = load(name)
    print(
        f"{_rank(name)}, {name}: {len(run.checkpoints)} checkpoints in {run.directory}, "
        f"validation accuracy {run.accuracy:.3f} on {len(run.validation)} patches "
        f"({time.perf_counter() - start:.1f} s)"
    )


def _rank(name: str) -> str:
    return f"network {list(RECIPES).index(name) + 1} of {len(RECIPES)}"


if __name__ == "__main__":
    sys.exit(main())
