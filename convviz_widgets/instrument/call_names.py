"""Names for what runs in one forward pass, the same in every pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection


class CallNames:
    """Give each call of a module or function its layer name, in execution order.

    A module's first call has its qualified name, a function ``enclosing.op``. Further calls count
    on with one counter per base name: ``conv``, ``conv_1``. A name that belongs to a real module
    is skipped, so ``relu`` the function beside ``relu`` the module is ``relu_1``.
    """

    def __init__(self, modules: Collection[str]) -> None:
        self._modules = modules
        self._called: defaultdict[str, int] = defaultdict(int)
        self._given: set[str] = set()

    def module(self, name: str) -> str:
        """Return the layer name of the next call of the module ``name``."""
        if name in self._given:
            return self._next(name)
        self._given.add(name)
        self._called[name] = max(self._called[name], 1)
        return name

    def function(self, enclosing: str, op: str) -> str:
        """Return the layer name of the next call of ``op`` inside the module ``enclosing``."""
        return self._next(f"{enclosing}.{op}" if enclosing else op)

    def _next(self, base: str) -> str:
        while True:
            count = self._called[base]
            self._called[base] += 1
            name = f"{base}_{count}" if count else base
            if name not in self._modules and name not in self._given:
                self._given.add(name)
                return name
