"""A whole data set through a model once: statistics of every channel, and its strongest images."""

from convviz_widgets.sweeps.lifecycle import DYING, Lifecycle, rate_bound
from convviz_widgets.sweeps.result import Hit, SweepResult
from convviz_widgets.sweeps.sweeping import SweepInterrupted, sweep

__all__ = [
    "DYING",
    "Hit",
    "Lifecycle",
    "SweepInterrupted",
    "SweepResult",
    "rate_bound",
    "sweep",
]
