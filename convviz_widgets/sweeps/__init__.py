"""A whole data set through a model once: statistics of every channel, and its strongest images."""

from convviz_widgets.sweeps.lifecycle import DYING, Lifecycle, rate_bound
from convviz_widgets.sweeps.result import SweepResult
from convviz_widgets.sweeps.sweeping import SweepInterrupted, sweep
from convviz_widgets.sweeps.top import Hit

__all__ = [
    "DYING",
    "Hit",
    "Lifecycle",
    "SweepInterrupted",
    "SweepResult",
    "rate_bound",
    "sweep",
]
