"""Explorer: the controls on the left, the views in tabs on the right, the status below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipywidgets import HBox, Layout, Tab, ToggleButtons, VBox

from convviz_widgets.apps.pages import CHAPTERS, EVIDENCE, PAGES, Material, Page
from convviz_widgets.diagnosis import Finding
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState
from convviz_widgets.sweep import SweepResult
from convviz_widgets.views import (
    ChannelStepper,
    CheckpointClock,
    DiagnosisPanel,
    ImageStrip,
    LayerList,
    Live,
    StatusLine,
    View,
    close_tree,
    listen,
    widget_tree,
)


class Explorer(VBox):
    """Everything about one state, linked: 828 px wide, so that it fits a notebook's output.

    Hidden tabs compute nothing; they catch up when they are shown.

    Parameters
    ----------
    state
        The shared `ModelState`; other views on it stay linked with the explorer.
    run
        The `Run` that the checkpoints come from, for its metrics; it may still be written to.
    sweep
        A `SweepResult` of the state's images; without one the views of units offer to make it.
    validation
        Another `ImageSet`, tensor or map-style data set, to look at beside the state's images.
    loader
        A `torch.utils.data.DataLoader`, whose batches are looked at without disturbing it.
    """

    def __init__(
        self,
        state: ModelState,
        *,
        run: Run | None = None,
        sweep: SweepResult | None = None,
        validation: Any = None,
        loader: Any = None,
    ) -> None:
        if sweep is not None:
            state.sweeps.adopt(sweep)  # refused before there is a widget to take back
        super().__init__(layout=Layout(width="828px", overflow="hidden"))
        self.state = state
        self.controls: list[View] = [
            CheckpointClock(state),
            Live(state, ticking=run is not None or state.is_live),
            LayerList(state),
            ChannelStepper(state),
            ImageStrip(state),
        ]
        material = Material(state, run, validation, loader)
        pages = {title: page(material) for title, page in PAGES.items()}
        self.pages = {title: page for title, page in pages.items() if page}
        self.chapters = {title: _choice(names) for title, names in CHAPTERS.items()}
        self.tabs = Tab(
            [_laid_out(page, self.chapters.get(title)) for title, page in self.pages.items()],
            titles=list(self.pages),
            selected_index=0,
            layout=Layout(width="600px", flex="0 0 auto"),
        )
        self.tabs.add_class("cvw-tabs")  # as wide as their titles, so that all of them can be read
        self._show_selected_tab()
        self.tabs.observe(lambda _change: self._show_selected_tab(), names="selected_index")
        for choice in self.chapters.values():
            choice.observe(lambda _change: self._show_selected_tab(), names="index")
        for view in self.views():
            if isinstance(view, DiagnosisPanel):
                view.on_show(self._turn_to_evidence)
        self.status = StatusLine(state, views=tuple(self.views()))
        left = VBox(self.controls, layout=Layout(width="222px", flex="0 0 auto", grid_gap="8px"))
        self.children = [HBox([left, self.tabs]), self.status]
        listen(self)

    def views(self) -> Iterator[View]:
        """Yield every control and view."""
        yield from self.controls
        for page in self.pages.values():
            for row in page:
                yield from row

    def close(self) -> None:
        """Close every view and widget; the state stays open."""
        for widget in list(widget_tree(self)):
            if isinstance(widget, View):
                widget.close()
        close_tree(self)

    def _turn_to_evidence(self, finding: Finding) -> None:
        """Show the tab and the chapter where the evidence of a finding is seen."""
        title, chapter = EVIDENCE.get(finding.rule, ("", ""))
        if title not in self.pages:
            return
        if chapter:
            self.chapters[title].value = chapter
        self.tabs.selected_index = list(self.pages).index(title)

    def _show_selected_tab(self) -> None:
        for index, (title, page) in enumerate(self.pages.items()):
            chapters = self.chapters.get(title)
            for place, row in enumerate(page):
                chosen = chapters is None or chapters.index == place
                for view in row:
                    view.visible = chosen and index == self.tabs.selected_index
        listen(self.tabs)


def _choice(names: tuple[str, ...]) -> ToggleButtons:
    """Return the buttons that turn to a chapter."""
    buttons = ToggleButtons(options=names, style={"button_width": "120px"})
    buttons.layout.flex, buttons.layout.margin = "0 0 auto", "0 0 8px 0"
    return buttons


def _laid_out(page: Page, chapters: ToggleButtons | None = None) -> VBox:
    rows = [HBox(row, layout=Layout(flex="0 0 auto", overflow="visible")) for row in page]
    body: list[Any] = list(rows)
    if chapters is not None:
        body = [chapters, *rows]

        def turn(_change: Any = None) -> None:
            for place, row in enumerate(rows):
                row.layout.display = "flex" if place == chapters.index else "none"

        chapters.observe(turn, names="index")
        turn()
    return VBox(body, layout=Layout(min_height="780px", overflow="visible"))
