"""A whole data set through a model once: statistics of every channel, and its strongest images."""

from convviz_widgets.instrument.layers import can_die
from convviz_widgets.sweep.hit import Hit
from convviz_widgets.sweep.lifecycle import DYING, Lifecycle, rate_bound
from convviz_widgets.sweep.nonlinearity import nonlinearity_of
from convviz_widgets.sweep.result import SweepResult
from convviz_widgets.sweep.sweeping import SweepInterrupted, sweep

__all__ = [
    "DYING",
    "Hit",
    "Lifecycle",
    "SweepInterrupted",
    "SweepResult",
    "can_die",
    "nonlinearity_of",
    "rate_bound",
    "sweep",
]
