"""Compositions of views; layout only."""

from convviz_widgets.apps.explorer import Explorer

__all__ = ["Explorer"]
