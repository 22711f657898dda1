"""PageElement, the base of what the package draws on the page itself, by the modules in `page/`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from anywidget import AnyWidget
from ipywidgets import Widget
from traitlets import Dict, List, Unicode

from convviz_widgets.state import ModelState
from convviz_widgets.state.published import PUBLISHED
from convviz_widgets.widgets.text import readable
from convviz_widgets.widgets.widget_tree import listen

PAGE = Path(__file__).parent / "page"
"""Where the modules of the page lie."""

NAMES_OTHER_MODULES = re.compile(r'^import \{ .* \} from "\./.*\.js";\n', re.MULTILINE)

EXPORTS = re.compile(r"^export (?=(async )?(class|function|const))", re.MULTILINE)


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
            self.heard = list(move_of(what))
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


def move_of(what: Mapping[str, Any]) -> tuple[str, int]:
    """Return the page on which a user did something, and the number that it gave to that."""
    order = what.get("order")
    return str(what.get("page", "")), order if isinstance(order, int) else 0
