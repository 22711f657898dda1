"""Medians as a table on the screen and, with every sample, as a JSON file."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import torch

PACKAGES = (
    *("torch", "jupyterlab", "ipykernel", "ipywidgets", "anywidget", "ipycanvas", "bqplot"),
    "matplotlib",
)

LOAD = os.getloadavg()[0]
"""Processes that wanted a core in the minute before the measurements: others than ours."""


@dataclass(frozen=True)
class Goal:
    """A number that must hold: at most ``limit``, unless ``at_least``."""

    text: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the number is on the right side of its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def line(self) -> str:
        """Return the goal in words."""
        bound = "at least" if self.at_least else "at most"
        judged = "holds" if self.holds else "MISSED"
        return f"{judged:<7}{self.text}: {self.value:.3g}{self.unit} ({bound} {self.limit:g})"


def table(title: str, samples: dict[str, list[float]], unit: str = "ms") -> str:
    """Return one line for each kind of sample: median, the middle eight tenths, how many."""
    width = max(map(len, samples))
    lines = [title, f"  {'':<{width}}  median {unit}   10 %    90 %    n"]
    for name, taken in samples.items():
        low, high = _tenths(taken)
        lines.append(
            f"  {name:<{width}}  {median(taken):9.1f}  {low:6.1f}  {high:6.1f}  {len(taken):3}"
        )
    return "\n".join(lines)


def write(
    path: Path, samples: dict[str, dict[str, list[float]]], goals: list[Goal], unit: str = "ms"
) -> None:
    """Write medians, goals and samples, with the machine they were taken on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "goals": [
            {"goal": goal.text, "value": goal.value, "limit": goal.limit, "holds": goal.holds}
            for goal in goals
        ],
        f"median_{unit}": {
            title: {name: round(median(taken), 2) for name, taken in group.items()}
            for title, group in samples.items()
        },
        f"samples_{unit}": {
            title: {name: [round(time, 2) for time in taken] for name, taken in group.items()}
            for title, group in samples.items()
        },
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """Return what numbers depend on: processor, versions, and who else was at work."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(LOAD, 2),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
    }


def _tenths(taken: list[float]) -> tuple[float, float]:
    if len(taken) < 2:
        return taken[0], taken[0]
    tenths = quantiles(taken, n=10, method="inclusive")
    return tenths[0], tenths[-1]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")
