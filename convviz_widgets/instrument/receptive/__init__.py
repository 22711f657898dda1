"""The receptive field of any unit, from the geometry of the layers."""

from .boxes import FieldBox, ReceptiveFields

__all__ = ["FieldBox", "ReceptiveFields"]
