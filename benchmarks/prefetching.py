"""What making frames ahead costs the foreground: a redraw amid it, against one without it.

python benchmarks/prefetching.py            two minutes, on a machine that does nothing else
python benchmarks/prefetching.py --quick    three pairs, to see that it runs

Run it with OMP_NUM_THREADS=1 and =2: with one thread a core is free for what is made ahead.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np
import torch
from measuring.kernel import WARM_UP, milliseconds
from measuring.networks import resnet18
from measuring.report import Goal, table, write
from torch import Tensor, nn

import convviz_widgets as cvw
from convviz_widgets.demo.patches import build_network
from convviz_widgets.tensors import (
    Mosaic,
    normalize,
    palette,
    palette_png,
    quantize,
    zero_anchored_limits,
)

RESULT = Path(__file__).parent / "results" / "prefetching.json"

TRIAL = Path(__file__).parents[1] / "build" / "prefetching-quick.json"

PAIRS = 60

WAIT = 0.13, 0.25
"""Seconds after which a redraw comes: at any moment of a frame, when some are under way."""

OFF, ON = "off", "on"


class Scrubbed:
    """A state whose selected layer is painted at each selection, and ahead if that is on."""

    def __init__(self, name: str) -> None:
        series, images, model, layer = _subject(name)
        # No room for a second recording, so that every selection runs the model.
        self.state = cvw.ModelState(model, images, checkpoints=series, layer=layer, memory_budget=1)
        self.state.observe(lambda change: self._frame(change.new), names="selection")
        self.state.ahead.ask(self, self._frame, lambda _: None, {"layer", "image"})
        self._budget = self.state.ahead.budget
        self._chance = random.Random(0)

    def redraw(self, how: str) -> float:
        """Select another checkpoint while frames are made, or not; return the milliseconds."""
        self.state.ahead.budget = self._budget if how == ON else 0
        self.state.ahead.renew(self)  # all of them are lacking
        time.sleep(self._chance.uniform(*WAIT))
        others = [i for i in range(len(self.state.steps)) if i != self.state.checkpoint]
        chosen = self._chance.choice(others)
        _warm_up()
        return milliseconds(lambda: self.state.select(checkpoint=chosen))

    def close(self) -> None:
        """Let go of the model."""
        self.state.ahead.budget = self._budget
        self.state.close()

    def _frame(self, selection: cvw.state.Selection) -> int:
        maps = self.state.recorded(selection=selection).numpy()  # (C, H, W)
        mosaic = Mosaic.fit(*maps.shape, max_width=550, max_height=300, min_tile=24, max_tile=96)
        shown = normalize(mosaic.reduced(maps, signed=False), zero_anchored_limits(maps))
        return len(palette_png(mosaic.paint(quantize(shown)), palette("viridis")))


def _subject(name: str) -> tuple[cvw.CheckpointSeries, Tensor, nn.Module, str]:
    if name == "resnet18":
        model, images, layer = resnet18(), torch.rand(1, 3, 224, 224), "layer2.0.relu"
        weights = [_jittered(model, seed) for seed in range(12)]
    else:
        model, images, layer = build_network(6, seed=0), torch.rand(1, 3, 32, 32), "relu1"
        weights = [build_network(6, seed=seed).state_dict() for seed in range(200)]
    return cvw.CheckpointSeries.from_state_dicts(list(enumerate(weights))), images, model, layer


def _jittered(model: nn.Module, seed: int) -> Mapping[str, Tensor]:
    torch.manual_seed(seed)
    return {
        name: value * (1 + 0.01 * torch.randn_like(value)) if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }


def _warm_up() -> None:
    """Wake up the cores: without anything made ahead they have slept, with it they have not."""
    images, weight = torch.rand(1, 64, 56, 56), torch.rand(64, 64, 3, 3)
    for _ in range(4):
        torch.conv2d(images, weight)


def in_pairs(name: str, pairs: int) -> dict[str, list[float]]:
    """Time redraws with frames made ahead and without, turn and turn about."""
    scrubbed = Scrubbed(name)
    taken: dict[str, list[float]] = {OFF: [], ON: []}
    for number in range(WARM_UP + pairs):
        for how in (OFF, ON)[:: 1 if number % 2 else -1]:
            elapsed = scrubbed.redraw(how)
            if number >= WARM_UP:
                taken[how].append(elapsed)
    scrubbed.close()
    return taken


def interval(taken: dict[str, list[float]]) -> tuple[float, float, float]:
    """Return the median ratio of the pairs, on by off, and where it lies in 95 of 100 resamples."""
    ratios = np.divide(taken[ON], taken[OFF])
    chance = np.random.default_rng(0)
    resampled = [median(chance.choice(ratios, len(ratios))) for _ in range(2000)]
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(median(ratios)), float(low), float(high)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    samples, goals = {}, []
    for name in ("demo", "resnet18"):
        title = f"{name}, a redraw, {torch.get_num_threads()} threads"
        taken = samples[title] = in_pairs(name, 3 if quick else PAIRS)
        ratio, low, high = interval(taken)
        print(table(title, taken))
        text = f"{name}: redraw with frames made ahead, by without [{low:.2f}, {high:.2f}]"
        goals.append(Goal(text, ratio, 1.05))
        print(goals[-1].line())
    write(TRIAL if quick else RESULT, samples, goals)


if __name__ == "__main__":
    main()
