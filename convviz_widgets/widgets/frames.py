"""Frame and FrameBook: what a view shows at one checkpoint, and the frames that the page keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ipywidgets import Widget
from ipywidgets.widgets import widget as implementation
from traitlets import Bool, Dict, List, Unicode

from convviz_widgets.state import ModelState
from convviz_widgets.state.published import lock_of_pages
from convviz_widgets.tensors import Box, Mosaic
from convviz_widgets.widgets.page_element import PageElement, module_text

MOST_VALUES = 2**20
"""Bytes of numbers that travel with a frame; of more the kernel is asked."""

FACTS = 1024
"""Bytes of what else there is to a frame, about."""


@dataclass(frozen=True)
class Frame:
    """What a view shows at one checkpoint: all that changes together.

    Attributes
    ----------
    picture : the PNG file; empty for a frame of words alone.
    width, height : of the picture, in pixels.
    mosaic : where tiles lie in it.
    names : what each tile is, in words.
    channels : which value of the selection each tile stands for; None: its own number.
    values : the numbers of the tiles, (n, h, w), where the page says which is under the pointer.
    signed : whether of several numbers under the pointer the one of largest magnitude is said.
    caption, alt : the line below, and what a screen reader says.
    colormap : its colours; empty where it has no palette.
    recolours : options of the colour map for which the picture is right with other colours alone.
    automatic : the colour map that "automatic" stands for.
    limits : what is written at the colour bar, from low to high.
    writes : what is written into other widgets: their traits.
    """

    picture: bytes = b""
    width: int = 1
    height: int = 1
    mosaic: Mosaic | None = None
    names: tuple[str, ...] = ()
    channels: tuple[int | None, ...] | None = None
    values: np.ndarray | None = None
    signed: bool = False
    caption: str = ""
    alt: str = ""
    colormap: str = ""
    recolours: tuple[str, ...] = ()
    automatic: str = ""
    limits: tuple[str, ...] = ()
    writes: Mapping[Widget, Mapping[str, Any]] = field(default_factory=dict)

    def content(self, key: int | None, of: int, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return it as it is sent, with the checkpoint's number and what it belongs to."""
        sent: dict[str, Any] = {
            "key": key,
            "of": of,
            "options": dict(options),
            "width": self.width,
            "height": self.height,
            "caption": self._caption(),
            "alt": self.alt,
            "colormap": self.colormap,
            "recolours": list(self.recolours),
            "automatic": self.automatic,
            "limits": list(self.limits),
        }
        if self.picture:
            sent["picture"] = self.picture
        if self.mosaic is not None:
            sent["grid"] = grid_of(self.mosaic)
        if self.names:
            sent["names"] = list(self.names)
        if self.channels is not None:
            sent["channels"] = list(self.channels)
        if self.values is not None:
            sent |= _numbers(self.values, self.signed)
        if self.writes:
            sent["writes"] = [[to.model_id, sendable(to, what)] for to, what in self.writes.items()]
        return sent

    @property
    def nbytes(self) -> int:
        """Bytes that it takes on the page, about."""
        numbers = 0 if self.values is None else min(MOST_VALUES, 4 * self.values.size)
        written = sum(_bytes_of(value) for each in self.writes.values() for value in each.values())
        return len(self.picture) + numbers + 40 * len(self.names) + written + FACTS

    def _caption(self) -> str | list[str]:
        """Return the caption around the name of the colour map, for which there may be another."""
        parts = self.caption.split(self.colormap) if self.recolours else []
        return parts if len(parts) == 2 else self.caption


def grid_of(mosaic: Mosaic) -> dict[str, Any]:
    """Return where tiles lie, for the page."""
    first = mosaic.box(0) if mosaic.count else Box(0, 0, 0, 0)
    return {
        "count": mosaic.count,
        "columns": mosaic.columns,
        "gap": mosaic.gap,
        "pitch": [first.height + mosaic.gap, first.width + mosaic.gap],
        "enlarge": mosaic.enlarge,
        "reduce": mosaic.reduce,
        "size": [mosaic.tile_height, mosaic.tile_width],
    }


def _numbers(values: np.ndarray, signed: bool) -> dict[str, Any]:
    if 4 * values.size > MOST_VALUES:
        return {"asks": True}
    numbers = np.ascontiguousarray(values, np.dtype("<f4"))
    return {"values": numbers.tobytes(), "shape": list(values.shape), "signed": signed}


def sendable(to: Widget, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for traits of a widget as they travel to the page."""
    return {
        name: to.trait_metadata(name, "to_json", Widget._trait_to_json)(value, to)
        for name, value in values.items()
    }


def _bytes_of(value: Any) -> int:
    return int(value.nbytes) if isinstance(value, np.ndarray) else len(str(value))


class FrameBook(PageElement):
    """The frames of a view that the page keeps; the page shows the one that its clock points at.

    Parameters
    ----------
    state
        The state whose clock is followed; None: one frame at a time, whatever the clock says.
    depends
        Fields of the selection, beside the checkpoint, that the frames belong to.

    Attributes
    ----------
    of : counts what the frames belong to, as it changes.
    options : those of the view that the frames are made with.
    is_on_page : whether a page has shown the view; a script has none.
    """

    _esm = Unicode(module_text("renderWriter", "store", "element", "book", "writer")).tag(sync=True)
    frame = Dict().tag(sync=True)
    """The one of the checkpoint that is selected: what a page that is reloaded shows."""
    depends: List[Any] = List().tag(sync=True)
    """Fields of the selection that frames belong to: none is shown while a page knows better."""
    awake = Bool(True).tag(sync=True)
    """Whether the view is seen: the clock of a page does not wait for one that is not."""
    ahead = Bool(False).tag(sync=True)
    """Whether each frame is of one checkpoint, so that those of others can be made, too."""

    def __init__(
        self, state: ModelState | None = None, depends: frozenset[str] = frozenset(), **traits: Any
    ) -> None:
        self.of = 0
        self.options: dict[str, Any] = {}
        self.is_on_page = False
        # The background keeps frames while another thread selects: what the page is told, and in
        # what order, must be what is noted here.
        self._telling = lock_of_pages()
        self._held: set[int] = set()  # the checkpoints whose frames the page has
        self._is_quiet = False
        self._on_new_page: Callable[[], Any] = lambda: None
        super().__init__(depends=sorted(depends), **traits)
        if state is not None:
            self.belong_to(state)
        self.on_msg(lambda _self, message, _buffers: self.hear(message))

    def on_new_page(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` when a page is new: it has none of the frames of the others."""
        self._on_new_page = callback

    def show(self, frame: Frame, now: dict[str, Any] | None = None, key: int | None = None) -> bool:
        """Show a frame, and tell whether it had to be sent: else the page has it.

        Parameters
        ----------
        frame
            What is shown.
        now
            What is selected, as pages are told of it.
        key
            The number of the checkpoint that the frame is of; None: it is shown at once, wherever
            the clock points.
        """
        with self._telling:
            content = frame.content(key, self.of, self.options)
            if key in self._held:
                self._set_quietly(content, now or {})
                self.tell({"current": key, "now": now})
                return False
            with self.hold_sync():
                self.frame, self.now = content, now or {}
                self.ahead = key is not None
            if key is not None:
                self._held.add(key)
            return True

    def tell_drawn(self, now: dict[str, Any]) -> None:
        """Tell the page that all views have drawn what was selected: it need wait for none."""
        self.tell({"drawn": now.get("serial")})

    def keep(self, frame: Frame, key: int, of: int) -> int:
        """Give the page the frame of another checkpoint, unless it belongs to what was before.

        Returns
        -------
        How many bytes that takes.
        """
        with self._telling:
            if of != self.of:
                return 0
            self._send_frames([frame.content(key, of, self.options)])
            self._held.add(key)
        return frame.nbytes

    def renew(self, options: Mapping[str, Any]) -> None:
        """Have the page let go of all frames: they no longer show what is selected.

        It does not say what is selected: a page that knew would look for it in other books, which
        may not have been told yet.
        """
        with self._telling:
            self.of += 1
            self.options = dict(options)
            self._held.clear()
            self.tell({"renew": self.of, "options": self.options})

    def drop(self, keys: set[int]) -> None:
        """Have the page let go of the frames of these checkpoints."""
        with self._telling:
            self._held -= keys
            self.tell({"drop": sorted(keys)})

    def hear(self, message: Any) -> None:
        """Act on what a page says; a message that is not understood is none."""
        if not isinstance(message, dict):
            return
        if message.get("ready"):
            self._begin(message.get("key"), message.get("of"))
            self._on_new_page()
        if "want" in message and self.frame.get("key") == message["want"]:
            self._send_frames([self.frame])

    def _begin(self, key: Any, of: Any) -> None:
        """Know that a page is new, which has this frame and no other."""
        with self._telling:
            self.is_on_page = True
            mine = (self.frame.get("key"), self.frame.get("of"))
            self._held = {each for each in mine[:1] if each is not None}
            if self.frame and mine != (key, of):
                self._send_frames([self.frame])  # the page has missed it

    def _send_frames(self, frames: list[dict[str, Any]]) -> None:
        # Private to ipywidgets 8: the public `send` takes no buffers amid what it sends.
        bare, paths, buffers = implementation._remove_buffers({"frames": frames})
        self.tell({**bare, "paths": paths}, buffers)

    def _set_quietly(self, content: dict[str, Any], now: dict[str, Any]) -> None:
        """Have the frame ready for a page that comes later; those that there are have it."""
        self._is_quiet = True
        try:
            self.frame, self.now = content, now
        finally:
            self._is_quiet = False

    def _should_send_property(self, key: str, value: Any) -> bool:
        # Private to ipywidgets 8, which asks it before it sends a trait. There is no public way to
        # keep from the pages what one that is loaded later must get.
        if key in ("frame", "now") and self._is_quiet:
            return False
        return bool(super()._should_send_property(key, value))
