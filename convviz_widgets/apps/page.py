"""Page: rows of views in a tab, made when somebody looks at them for the first time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ipywidgets import HBox, Layout, ToggleButtons, VBox, Widget

from convviz_widgets.errors import in_one_line
from convviz_widgets.views import View, listen
from convviz_widgets.views.text import Text

Maker = Callable[[], View]


class Page(VBox):
    """Rows of views, all of them below each other or, with chapters, one at a time.

    Every widget is a message to the front end. All views of an explorer at once are thousands:
    more than the kernel's socket holds for a server that is busy, which drops the rest without a
    word, and what refers to a dropped widget never appears.

    Parameters
    ----------
    rows
        What makes the views of each row, from left to right.
    chapters
        Names of the rows, if one is shown at a time.
    on_made
        Called with each new view.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Maker]],
        chapters: Sequence[str],
        on_made: Callable[[View], None],
    ) -> None:
        self.rows = [_Row(makers, on_made) for makers in rows]
        self.chapters = _choice(chapters) if chapters else None
        self._shown = False
        body: list[Widget] = [*self.rows]
        if self.chapters is not None:
            self.chapters.observe(lambda _change: self.show(self._shown), names="index")
            body = [self.chapters, *body]
        super().__init__(body, layout=Layout(min_height="780px", overflow="visible"))

    def views(self) -> Iterator[View]:
        """Yield the views that have been made."""
        for row in self.rows:
            yield from row.views

    def turn_to(self, chapter: str) -> None:
        """Show the row of this name."""
        if self.chapters is not None:
            self.chapters.value = chapter

    def show(self, shown: bool) -> None:
        """Wake the views that are seen now, put the others to sleep."""
        self._shown = shown
        for place, row in enumerate(self.rows):
            row.show(shown, chosen=self.chapters is None or self.chapters.index == place)
        listen(self)


class _Row(HBox):
    def __init__(self, makers: Sequence[Maker], on_made: Callable[[View], None]) -> None:
        super().__init__(layout=Layout(flex="0 0 auto", overflow="visible"))
        self.views: tuple[View, ...] = ()
        self._makers = makers
        self._on_made = on_made

    def show(self, shown: bool, chosen: bool) -> None:
        self.layout.display = "flex" if chosen else "none"
        if shown and chosen and not self.children:
            self._make()
        for view in self.views:
            view.visible = shown and chosen

    def _make(self) -> None:
        seen: tuple[Widget, ...]
        try:
            seen = self.views = tuple(make() for make in self._makers)
        except Exception as error:
            # A tab that raises when it is opened says so nowhere but here.
            seen = (Text(in_one_line(error), kind="problem"),)
        self.children = seen
        for view in self.views:
            self._on_made(view)


def _choice(names: Sequence[str]) -> ToggleButtons:
    """Return the buttons that turn to a chapter."""
    buttons = ToggleButtons(options=names, style={"button_width": "120px"})
    buttons.layout.flex, buttons.layout.margin = "0 0 auto", "0 0 8px 0"
    return buttons
