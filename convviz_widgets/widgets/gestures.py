"""Gestures: what a user does on a picture with pointer and keys; heard, and done in code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Pointer = Callable[[int, int], None]

ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}


class Gestures:
    """Tells callbacks what a user does on a picture.

    `click`, `point_at`, `leave`, `drag` and `press` do in code what a user does on the page.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[..., Any]]] = {}
        self._pointer: tuple[int, int] | None = None
        self.on("mouse_move", self._follow)
        self.on("mouse_out", self._forget)

    def on(self, event: str, callback: Callable[..., Any]) -> None:
        """Call back at an event, which is called as ipycanvas calls it."""
        self._callbacks.setdefault(event, []).append(callback)

    def tell(self, event: str, *what: Any) -> None:
        """Tell what has happened to whoever listens."""
        for callback in self._callbacks.get(event, ()):
            callback(*what)

    def on_click(self, callback: Pointer) -> None:
        """Call ``callback(x, y)`` with the pixel that is pressed."""
        self.on("mouse_down", lambda x, y: callback(*self._pressed_at(x, y)))

    def on_release(self, callback: Pointer) -> None:
        """Call ``callback(x, y)`` with the pixel on which the button is let go."""
        self.on("mouse_up", lambda x, y: callback(int(x), int(y)))

    def on_move(self, callback: Pointer, leave: Callable[[], None]) -> None:
        """Call ``callback(x, y)`` with the pixel under the pointer, ``leave()`` when it goes."""
        self.on("mouse_move", lambda x, y: callback(int(x), int(y)))
        self.on("mouse_out", lambda _x, _y: leave())

    def on_arrow(self, callback: Pointer) -> None:
        """Call ``callback(dx, dy)`` for an arrow key."""

        def pressed(key: str, *_others: bool) -> None:
            if key in ARROWS:
                callback(*ARROWS[key])

        self.on("key_down", pressed)

    def _pressed_at(self, x: float, y: float) -> tuple[int, int]:
        return int(x), int(y)

    # -- what a user does, in code ------------------------------------------------------------

    def click(self, x: float, y: float) -> None:
        """Move the pointer to a pixel, press the button there and let it go.

        >>> view = cvw.ActivationMosaic(state)
        >>> box = view.painted.mosaic.box(2)
        >>> view.raster.click(box.x + 1, box.y + 1)
        >>> state.channel
        2
        """
        self.drag((x, y))

    def point_at(self, x: float, y: float) -> None:
        """Move the pointer to a pixel."""
        self.tell("mouse_move", x, y)

    def leave(self) -> None:
        """Move the pointer away."""
        self.tell("mouse_out", *(self._pointer or (0, 0)))

    def drag(self, *places: tuple[float, float]) -> None:
        """Press the button at the first of these pixels, go through the others, let go."""
        self.point_at(*places[0])
        self.tell("mouse_down", *places[0])
        for place in places[1:]:
            self.point_at(*place)
        self.tell("mouse_up", *places[-1])

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key while the picture has the focus: "ArrowLeft", "Home", "Enter".

        >>> view = cvw.ActivationMosaic(state)
        >>> view.raster.press("ArrowRight")
        >>> state.channel
        1
        """
        self.tell("key_down", key, shift, False, False)

    def _follow(self, x: float, y: float) -> None:
        self._pointer = int(x), int(y)

    def _forget(self, _x: float, _y: float) -> None:
        self._pointer = None
