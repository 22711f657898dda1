"""The receptive field of any unit, from the geometry of the layers."""

from convviz_widgets.instrument.receptive.boxes import FieldBox, ReceptiveFields

__all__ = ["FieldBox", "ReceptiveFields"]
