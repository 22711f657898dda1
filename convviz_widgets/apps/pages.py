"""The pages of the explorer: which views lie in which tab, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ipywidgets import HBox, Layout, ToggleButtons, VBox, Widget

from convviz_widgets.errors import in_one_line
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState
from convviz_widgets.views import (
    ActivationHistogram,
    ActivationMap,
    ActivationMosaic,
    ConfusionMatrix,
    DeadFilters,
    DiagnosisPanel,
    DistributionHistory,
    EmbeddingScatter,
    FilterMosaic,
    GradientFlow,
    InputGallery,
    InputHistogram,
    OutputGallery,
    Predictions,
    SparsityHistory,
    TopImages,
    TrainingCurves,
    WeightHistogram,
)
from convviz_widgets.widgets import View, listen
from convviz_widgets.widgets.text import Text


def activations(sources: ExplorerSources) -> Rows:
    """All maps of the layer; below, the selected one and its values."""
    state = sources.state
    return [
        [partial(ActivationMosaic, state)],
        [partial(ActivationMap, state), partial(ActivationHistogram, state)],
    ]


def inputs(sources: ExplorerSources) -> Rows:
    """What goes in: one row at a time, see `CHAPTERS`."""
    state, validation = sources.state, sources.validation
    return [
        [partial(InputGallery, state, validation=validation, loader=sources.loader)],
        [partial(InputHistogram, state, validation=validation)],
    ]


def outputs(sources: ExplorerSources) -> Rows:
    """What comes out: one row at a time, see `CHAPTERS`."""
    state = sources.state
    return [
        [partial(Predictions, state)],
        [partial(ConfusionMatrix, state)],
        [partial(OutputGallery, state, run=sources.run)],
    ]


def training(sources: ExplorerSources) -> Rows:
    """Losses, and below them accuracies; no page without a run."""
    state, run = sources.state, sources.run
    if run is None:
        return []
    return [
        [partial(TrainingCurves, state, run=run, quantity=quantity)] for quantity in ("loss", "acc")
    ]


def diagnosis(sources: ExplorerSources) -> Rows:
    """What is abnormal, with the way to the evidence."""
    given = {"run": sources.run, "validation": sources.validation, "loader": sources.loader}
    return [[partial(DiagnosisPanel, sources.state, **given)]]


def below_each_other(*kinds: Callable[[ModelState], View]) -> Callable[[ExplorerSources], Rows]:
    """Return what makes a page of views that need nothing but the state, each in a row."""
    return lambda sources: [[partial(kind, sources.state)] for kind in kinds]


PAGES: dict[str, Callable[[ExplorerSources], Rows]] = {
    "Activations": activations,
    "Filters": below_each_other(FilterMosaic, WeightHistogram),
    "Units": below_each_other(TopImages, DeadFilters, EmbeddingScatter),
    "Inputs": inputs,
    "Outputs": outputs,
    "Training": training,
    "History": below_each_other(DistributionHistory, SparsityHistory, GradientFlow),
    "Diagnosis": diagnosis,
}
"""Title of each tab, and what is in it; a page without rows has no tab."""

CHAPTERS = {
    "Inputs": ("Images", "Values"),
    "Units": ("Top images", "Dead filters", "Embedding"),
    "Outputs": ("Classes", "Confusion", "Gallery"),
    "History": ("Distributions", "Sparsity", "Gradients"),
}
"""Names of the rows of a page of which one is shown at a time."""


@dataclass(frozen=True)
class ExplorerSources:
    """What an explorer was given to look at."""

    state: ModelState
    run: Run | None = None
    validation: Any = None
    loader: Any = None


Maker = Callable[[], View]

Rows = list[list[Maker]]
"""What makes the views of a page, row by row."""


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
