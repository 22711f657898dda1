"""A whole data set through a model once: statistics of every channel, and its strongest images."""

from .hit import Hit
from .result import SweepResult
from .sweeping import SweepInterrupted, sweep

__all__ = ["Hit", "SweepInterrupted", "SweepResult", "sweep"]
