"""Traits of a state: assigned through ``select`` or under its lock, and published together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import Bool, Bunch, HasTraits, TraitType, Undefined


class Selected(TraitType[Any, Any]):
    """A field of the selection. Assigning it *is* ``owner.select(name=value)``."""

    def set(self, obj: Any, value: Any) -> None:
        """Select the value instead of writing it."""
        obj.select(**{str(self.name): value})


class Locked(Bool):
    """A switch that is thrown, and told of, while nothing is being published by another thread."""

    def set(self, obj: Any, value: Any) -> None:
        """Write the value while the owner's selection is held."""
        with obj.hold():
            super().set(obj, value)


def publish(owner: HasTraits, values: Mapping[str, Any]) -> None:
    """Write values that have been checked, all of them before anybody is told of the first.

    Observers are told in the order of ``values``. ``hold_trait_notifications`` would set each
    trait a second time, and so select again.
    """
    written = owner._trait_values
    before = {name: written.get(name, Undefined) for name in values}
    written.update(values)
    for name, value in values.items():
        old = before[name]
        if old is Undefined or old != value:
            owner.notify_change(Bunch(name=name, old=old, new=value, owner=owner, type="change"))
