"""PageElement, the base of what the package draws on the page itself, by the modules in `page/`."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from anywidget import AnyWidget
from ipywidgets import Widget
from traitlets import Dict, List, Unicode

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.widgets.text import readable
from convviz_widgets.widgets.widget_tree import listen

PAGE = Path(__file__).parent / "page"
"""Where the modules of the page lie."""

NAMES_OTHER_MODULES = re.compile(r'^import \{ .* \} from "\./.*\.js";\n', re.MULTILINE)

EXPORTS = re.compile(r"^export (?=(async )?(class|function|const))", re.MULTILINE)

SELECTED = ("layer", "image", "channel", "target", "direction")
"""Fields of a selection that a page is told of, beside the checkpoint."""


@cache
def module_text(render: str, *names: str) -> str:
    """Return modules of `page/` as one, which exports a function of the last as ``render``.

    What anywidget loads has no address that an ``import`` could be relative to.
    """
    texts = [(PAGE / f"{name}.js").read_text(encoding="utf-8") for name in names]
    joined = "".join(EXPORTS.sub("", NAMES_OTHER_MODULES.sub("", text)) for text in texts)
    return f"{joined}export default {{ render: {render} }};\n"


@cache
def style_sheet() -> str:
    """Return the style sheet of all elements."""
    return (PAGE / "page.css").read_text(encoding="utf-8")


class Causes(threading.local):
    """What this thread answers to, while it does: page and move, by state. Others select, too."""

    def __init__(self) -> None:
        self.by_state: weakref.WeakKeyDictionary[ModelState, list[Any]] = (
            weakref.WeakKeyDictionary()
        )


class PublishedStates:
    """What pages are told of each state: who it is, what is selected, and what led to that."""

    def __init__(self) -> None:
        self._ids: weakref.WeakKeyDictionary[ModelState, str] = weakref.WeakKeyDictionary()
        self._last: weakref.WeakKeyDictionary[ModelState, tuple[Selection, dict[str, Any]]] = (
            weakref.WeakKeyDictionary()
        )
        self._causes = Causes()
        self._serials = count()

    def name(self, state: ModelState) -> str:
        """Return the name of a state, unlike any other's."""
        return self._ids.setdefault(state, uuid4().hex)

    def now(self, state: ModelState, selection: Selection) -> dict[str, Any]:
        """Return what is selected, for a page; numbered in the order of the publications.

        To be called while the selection is held, or announced: else another thread may have told of
        a newer one already.
        """
        last = self._last.get(state)
        if last is None or last[0] is not selection:
            told = {
                "state": self.name(state),
                "serial": next(self._serials),
                "key": state.frame_key(selection),
                "selection": {name: getattr(selection, name) for name in SELECTED},
                "cause": self._causes.by_state.get(state),
            }
            last = self._last[state] = (selection, told)
        return last[1]

    @contextmanager
    def answering(self, state: ModelState, page: Any, order: Any) -> Iterator[None]:
        """Have what this thread publishes say that it answers to this move on this page."""
        self._causes.by_state[state] = [str(page), _whole(order)]
        try:
            yield
        finally:
            del self._causes.by_state[state]


PUBLISHED = PublishedStates()


class PageElement(AnyWidget):
    """An element that the package draws itself; a subclass says by which modules.

    What a user does on the page reaches `acted`, and the page is told when that is over.
    """

    written_by_pages: ClassVar[frozenset[str]] = frozenset({"act"})
    """The traits that a page may set; all others are the kernel's, whatever a page says."""

    _css = Unicode(style_sheet()).tag(sync=True)
    state_id = Unicode("").tag(sync=True)
    """The state that the element belongs to, as pages know it."""
    own_id = Unicode("").tag(sync=True)
    """The element itself, as pages know it."""
    now = Dict().tag(sync=True)
    """What is selected: see `PublishedStates.now`."""
    links: List[Any] = List().tag(sync=True)
    """Controls that choose something: model, field, and the values that its places stand for."""
    act = Dict().tag(sync=True, echo_update=False)
    """The last thing that the user did; what was not told yet has been overtaken by it."""
    heard = List(["", 0]).tag(sync=True)
    """Page and number of the last act that was dealt with."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.own_id = str(self.model_id)
        self.observe(self._act, names="act")

    def acted(self, what: dict[str, Any]) -> None:
        """Do what the user has asked for on the page; whatever comes is checked here."""

    def belong_to(self, state: ModelState) -> None:
        """Follow what is selected in this state."""
        self.state_id = PUBLISHED.name(state)
        with state.hold() as selection:
            self.now = PUBLISHED.now(state, selection)

    def link(self, controls: Sequence[tuple[Widget, str, list[Any] | None]]) -> None:
        """Have the page know what these controls choose: (control, field, values of its places)."""
        self.links = [[control.model_id, field, values] for control, field, values in controls]

    def _act(self, change: Any) -> None:
        what = change.new
        try:
            self.acted(what)
        finally:
            self.heard = [str(what.get("page", "")), _whole(what.get("order"))]
            listen(self)

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take what a page has set, of the traits that it may."""
        known = {name: sync_data[name] for name in sync_data if name in self.written_by_pages}
        super().set_state(known)

    def get_state(self, *names: Any, **options: Any) -> dict[str, Any]:
        """Return the traits as they are sent, with names that can be read."""
        return dict(all_readable(super().get_state(*names, **options)))

    def tell(self, message: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Send a message to all pages that show the element."""
        self.send(all_readable(message), list(buffers))
        listen(self)


def all_readable(content: Any) -> Any:
    """Return what is sent to a page with every text in it as `readable` returns it."""
    if isinstance(content, str):
        return readable(content)
    if isinstance(content, dict):
        return {key: all_readable(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [all_readable(each) for each in content]
    return content


class ControlLinks(PageElement):
    """Tells the page which fields of the selection some controls choose; takes no room.

    What is chosen on one holds in the page at once: until the kernel has heard of it, no frame of
    what was selected before is shown any more.
    """

    _esm = Unicode(module_text("renderLinks", "store", "element", "links")).tag(sync=True)

    def __init__(self, state: ModelState) -> None:
        super().__init__()
        self.layout.display = "none"
        self.belong_to(state)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
