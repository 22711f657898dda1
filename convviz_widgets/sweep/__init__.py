"""A whole data set through a model once: statistics of every channel, and its strongest images."""

from convviz_widgets.sweep.hit import Hit
from convviz_widgets.sweep.result import SweepResult
from convviz_widgets.sweep.sweeping import SweepInterrupted, sweep

__all__ = ["Hit", "SweepInterrupted", "SweepResult", "sweep"]
