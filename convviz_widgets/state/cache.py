"""A least-recently-used cache that is bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Anything that knows the bytes of its unique storages."""

    @property
    def nbytes(self) -> int:
        """Bytes held, each storage counted once."""
        ...


Entry = TypeVar("Entry", bound=Sized)


class ByteCache(Generic[Entry]):
    """Keep the entries used last, as long as they fit into ``budget`` bytes.

    The entry in use (the one got or put last) is never evicted, so one entry may exceed the
    budget by itself; who puts it decides whether to put less of it.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.reserved = 0
        """Bytes that others hold and that count against the budget."""
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()

    @property
    def room(self) -> int:
        """Bytes that one entry may take: the budget less what is reserved."""
        return max(0, self.budget - self.reserved)

    @property
    def nbytes(self) -> int:
        """Bytes held by all entries."""
        return sum(entry.nbytes for entry in self._entries.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Entry | None:
        """Return the entry and mark it as in use, or None."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def peek(self, key: Hashable) -> Entry | None:
        """Return the entry without marking it as in use, or None."""
        return self._entries.get(key)

    def put(self, key: Hashable, entry: Entry) -> None:
        """Add or replace an entry and evict the least recently used ones beyond the budget."""
        self._entries[key] = entry
        self._entries.move_to_end(key)
        self.trim()

    def trim(self) -> None:
        """Evict the least recently used entries until the rest fits; the last one stays."""
        held = self.nbytes
        while held > self.room and len(self._entries) > 1:
            _, evicted = self._entries.popitem(last=False)
            held -= evicted.nbytes

    def forget(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Forget the entries whose keys are unwanted."""
        for key in [key for key in self._entries if unwanted(key)]:
            del self._entries[key]

    def clear(self) -> None:
        """Forget every entry."""
        self._entries.clear()
