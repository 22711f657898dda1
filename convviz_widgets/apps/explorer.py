"""Explorer: the controls on the left, the views in tabs on the right, the status below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipywidgets import HBox, Layout, Tab, VBox

from convviz_widgets.apps.pages import CHAPTERS, PAGES, ExplorerSources, Page
from convviz_widgets.apps.show_me import evidence_place
from convviz_widgets.diagnosis import Finding
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState
from convviz_widgets.state.examination import refuse_other_data, refuse_other_kinds
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.views import (
    ChannelStepper,
    CheckpointClock,
    DiagnosisPanel,
    ImageStrip,
    LayerList,
    Live,
    StatusLine,
)
from convviz_widgets.widgets import View, close_views, listen


class Explorer(VBox):
    """Everything about one state, linked: 828 px wide, so that it fits a notebook's output.

    A tab is made when it is opened; hidden ones compute nothing and catch up when they are shown.

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

    Examples
    --------
    >>> explorer = cvw.Explorer(state)
    >>> explorer.tabs.selected_index = list(explorer.pages).index("Filters")
    >>> [type(view).__name__ for view in explorer.pages["Filters"].views()]
    ['FilterMosaic', 'WeightHistogram']
    >>> explorer.close()
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
        refuse_other_kinds(state, run, sweep)  # before there is a widget to take back
        refuse_other_data(None, validation, loader)
        if sweep is not None:
            state.sweeps.adopt(sweep)
        if run is not None:
            state.attach(run)
        super().__init__(layout=Layout(width="828px", overflow="hidden"))
        self.state = state
        self.controls: list[View] = [
            CheckpointClock(state),
            Live(state, ticking=run is not None or state.is_live),
            LayerList(state),
            ChannelStepper(state),
            ImageStrip(state),
        ]
        self.status = StatusLine(state)
        for control in self.controls:
            self._take_up(control)
        self._sources = ExplorerSources(state, run, validation, loader)
        self.pages = self._pages(self._sources)
        self.tabs = Tab(
            list(self.pages.values()),
            titles=list(self.pages),
            selected_index=0,
            layout=Layout(width="600px", flex="0 0 auto"),
        )
        self.tabs.add_class("cvw-tabs")  # as wide as their titles, so that all of them can be read
        self._show_selected_tab()
        self.tabs.observe(lambda _change: self._show_selected_tab(), names="selected_index")
        left = VBox(self.controls, layout=Layout(width="222px", flex="0 0 auto", grid_gap="8px"))
        self.children = [HBox([left, self.tabs]), self.status]
        listen(self)

    def views(self) -> Iterator[View]:
        """Yield every control, and the views of every tab that has been opened."""
        yield from self.controls
        for page in self.pages.values():
            yield from page.views()

    def close(self) -> None:
        """Close every view and widget; the state stays open."""
        close_views(self)

    def _pages(self, sources: ExplorerSources) -> dict[str, Page]:
        rows = {title: rows_of(sources) for title, rows_of in PAGES.items()}
        return {
            title: Page(made_of, CHAPTERS.get(title, ()), self._take_up)
            for title, made_of in rows.items()
            if made_of
        }

    def _take_up(self, view: View) -> None:
        self.status.watch(view)
        if isinstance(view, DiagnosisPanel):
            view.on_show(self.show_evidence, self._has_place)

    def _has_place(self, finding: Finding) -> bool:
        return evidence_place(finding, self._sources).tab in self.pages

    def show_evidence(self, finding: Finding) -> None:
        """Turn to the tab and chapter of a finding's evidence, with what is needed to see it."""
        place = evidence_place(finding, self._sources)
        page = self.pages.get(place.tab)
        if page is not None:
            page.turn_to(place.chapter)
            self.tabs.selected_index = list(self.pages).index(place.tab)
            place.prepare(page.views(), finding, self.state)
            listen(self.tabs)

    def _show_selected_tab(self) -> None:
        for place, page in enumerate(self.pages.values()):
            page.show(place == self.tabs.selected_index)
        listen(self.tabs)
