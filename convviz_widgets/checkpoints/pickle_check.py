"""The rules that a pickle must keep before PyTorch reads it.

PyTorch's ``weights_only`` unpickler keeps foreign code from running, but it still calls what can
fill the memory (``bytearray(10**10)``) and makes storages of whatever size a pickle declares.
"""

from __future__ import annotations

from collections.abc import Callable

from convviz_widgets.checkpoints.pickle_calls import (
    Made,
    Storage,
    check_key,
    check_state,
    checked_call,
    checked_global,
    storage_of,
)
from convviz_widgets.errors import CheckpointError

Claim = Callable[[str, int], None]

_DICTIONARIES = ("dict", "collections.OrderedDict", "collections.Counter")


class Checked:
    """Refuses whatever is no tensor or plain data, and keeps no content of dictionaries.

    Parameters
    ----------
    claim
        Called with the key and the bytes of every storage that the pickle refers to; raises
        CheckpointError when the file does not hold that.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def dictionary(self) -> Made:
        """Return a stand-in that knows its keys."""
        return Made("dict")

    def found(self, module: str, name: str) -> object:
        """Return the stand-in of a name that we know."""
        return checked_global(module, name)

    def called(self, function: object, arguments: object) -> Made:
        """Return the stand-in of a tensor, or of what belongs to one."""
        return checked_call(function, arguments)

    def storage(self, kind: object, key: str, elements: object) -> Storage:
        """Claim the memory, and return its size."""
        storage = storage_of(kind, elements)
        self._claim(key, storage.nbytes)
        return storage

    def extend(self, target: object, items: list) -> None:
        """Extend lists alone."""
        if type(target) is not list:
            raise CheckpointError("has a pickle that appends to something else than a list")
        target.extend(items)

    def update(self, target: object, keys: list, values: list) -> None:
        """Note the keys of dictionaries."""
        if type(target) is not Made or target.by not in _DICTIONARIES:
            raise CheckpointError(
                "has a pickle that sets items of something else than a dictionary"
            )
        target.names.update(key for key in map(check_key, keys) if isinstance(key, str))

    def build(self, target: object, state: object) -> None:
        """Allow attributes that are no methods."""
        check_state(target, state)
