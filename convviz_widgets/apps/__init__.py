"""Compositions of views; layout only."""

from convviz_widgets.apps.comparison import Comparison
from convviz_widgets.apps.explorer import Explorer

__all__ = [
    "Comparison",
    "Explorer",
]
