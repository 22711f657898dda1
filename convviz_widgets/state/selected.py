"""A trait that is assigned through ``select``: checked first, then published with the others."""

from __future__ import annotations

from typing import Any

from traitlets import TraitType


class Selected(TraitType[Any, Any]):
    """A field of the selection. Assigning it *is* ``owner.select(name=value)``."""

    def set(self, obj: Any, value: Any) -> None:
        """Select the value instead of writing it."""
        obj.select(**{str(self.name): value})

    def write(self, obj: Any, value: Any) -> None:
        """Write a value that has been checked; for the owner, while it publishes."""
        super().set(obj, value)
