"""OutputGallery: what comes out, image by image, at the clock's step and over the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
from ipywidgets import Widget

from convviz_widgets.measure.responses import Responses
from convviz_widgets.probe.output_kinds import BINARY, SEGMENTATION
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState, Question, Selection
from convviz_widgets.state.examination import refuse_other_kinds
from convviz_widgets.tensors import evenly_spread
from convviz_widgets.views.outputs.classes_shown import has_rows_of_labels
from convviz_widgets.views.outputs.drift import RecordedOutputs
from convviz_widgets.views.outputs.mask_pages import MaskPages
from convviz_widgets.views.outputs.picture_pages import PicturePages
from convviz_widgets.widgets.background_view import HistoryOptions, HistoryView, ResultSoFar
from convviz_widgets.widgets.controls import PointerLine
from convviz_widgets.widgets.text import PageText, Text
from convviz_widgets.widgets.thumbnails import (
    BAND,
    COLUMNS,
    MOST_ASKED,
    PAGE,
    ROWS,
    SIDE,
    PageSlider,
    Thumbnails,
    asked_of,
    class_name,
    tiles_of,
)


class OutputGallery(HistoryView):
    """What the model puts out: pictures or masks beside their targets, or a classifier's answers.

    Pictures: those of the selected image, large, and of a page of others. Below them chroma and
    contrast of the outputs over all checkpoints, as shares of the targets', with the limits below
    which pictures look washed out [Hui]. Chroma is √Σ_c(x_c − grey)², contrast the standard
    deviation of the luminance.

    Masks: the class at every position of the image, in colours that the colour-blind can tell apart
    beside those of the target, and where the two differ. The caption has the intersection over
    union of each class over the images, with what is ignored: negative numbers and 255.

    Answers: thumbnails with the class that the model finds most probable, wrong ones first and
    framed; the most certain first.

    `pages` holds what is seen of the one or of the other.

    Parameters
    ----------
    state
        The `ModelState`; its clock scrubs the outputs.
    run
        A `Run` that has watched the first images of the set (`Recorder.watch`): its outputs tell of
        the steps between two checkpoints, too.

    Examples
    --------
    >>> view = cvw.OutputGallery(state)
    >>> state.output_history.wait(60)
    True
    >>> view.caption
    'step 200 · n = 5 images · ... of 5 labelled images answered wrong: first, and framed · ...'
    >>> view.pages.shown.count
    5
    """

    title: ClassVar[str] = "Outputs"
    caption_lines: ClassVar[int] = 3
    instant: ClassVar[bool] = False
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "image", "revision"})

    pages: AnswerPages | PicturePages

    def __init__(
        self, state: ModelState, *, run: Run | None = None, **options: Unpack[HistoryOptions]
    ) -> None:
        refuse_other_kinds(None, run, None)
        self._run = run
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return what answers for all checkpoints."""
        return state.output_history

    def parts(self, selection: Selection) -> tuple[Question, ...]:
        """Return the questions about what is shown, then those about the drift."""
        return self.pages.questions(selection.checkpoint)

    def controls(self) -> Sequence[Widget]:
        """Return the controls of the pages."""
        kind = self.state.output_kind
        if kind.answers and (kind.is_certain or kind.name != BINARY):
            self.pages = AnswerPages(self)
        elif kind.name == SEGMENTATION:
            self.pages = MaskPages(self, None)
        else:
            images = self.state.image_set
            recorded = None if self._run is None else RecordedOutputs(self._run, images)
            self.pages = PicturePages(self, recorded)
        return self.pages.controls()

    def figures(self) -> Sequence[Widget]:
        """Return the pictures and the line under them."""
        self._pointed = PointerLine(
            self, self.width, "image", lambda by: self.pages.step(by), self.pages.pointer_text
        )
        return [*self.pages.figures(self._pointed), self._pointed]

    def compute(self, selection: Selection) -> ResultSoFar:
        """Return what is known by now; ask for the rest.

        Raises
        ------
        InputError
            The model puts out neither class scores nor pictures.
        """
        if isinstance(self.pages, PicturePages):
            self.pages.prepare(selection)
        return super().compute(selection)

    def picture(self, selection: Selection) -> Any:
        """Return what there is to draw so far."""
        return self.pages.picture(selection)

    def draw_picture(self, picture: Any) -> None:
        """Send the page and its caption."""
        self.say(self.pages.draw(picture))

    def draw_nothing(self) -> None:
        """Show no page: the one that was seen is of another checkpoint."""
        self.pages.clear()
        self.say("")

    def pick(self, image: int) -> None:
        """Select an image."""
        self.select(image=image)


@dataclass(frozen=True, eq=False)
class AnswerPage:
    """A page of thumbnails, and where it is."""

    images: tuple[int, ...]
    tiles: np.ndarray
    first: int
    count: int
    words: dict[int, str]
    """Number of each image on the page → its true class and the answer."""
    caption: str


class AnswerPages:
    """The pages of an `OutputGallery` for a classifier.

    Parameters
    ----------
    view
        The gallery: it holds the state, and redraws when a page is turned.

    Attributes
    ----------
    shown : the page that is drawn; None before the first.
    thumbnails : its images.
    """

    pointer_text: ClassVar[type[Text]] = PageText
    """What says what the pointer is on: the page by itself."""

    def __init__(self, view: Any) -> None:
        self._view, self._state = view, view.state
        self._first = 0
        self.shown: AnswerPage | None = None

    def controls(self) -> Sequence[Widget]:
        """Return the slider of pages."""
        self._slider = PageSlider(self._turned)
        return [self._slider.row]

    def figures(self, pointed: Any) -> Sequence[Widget]:
        """Return the thumbnails."""
        self._pointed = pointed
        self.thumbnails = Thumbnails(
            566,
            ROWS * (SIDE + BAND + 2) + 2,
            COLUMNS,
            picked=self._view.pick,
            pointed=self._name,
            label="images with the answers of the model",
            pointed_id=pointed.text_id,
        )
        return [self.thumbnails]

    def questions(self, checkpoint: int) -> tuple[Question, ...]:
        """Return the question to the clock's checkpoint: that of a confusion matrix."""
        images = evenly_spread(len(self._state.image_set), MOST_ASKED)
        return (self._state.output_history.question(checkpoint, images),)

    def picture(self, selection: Selection) -> AnswerPage | None:
        """Return the page, None before the answers are there."""
        (question,) = self.questions(selection.checkpoint)
        answered = self._state.output_history.get(question)
        if answered is None:
            return None
        order, wrong = _wrong_first(answered)
        self._first = min(self._first, max(0, len(order) - 1)) // PAGE * PAGE
        places = order[self._first : self._first + PAGE]
        images = tuple(map(int, answered.indices[places]))
        return AnswerPage(
            images,
            tiles_of(
                self._state.image_set,
                images,
                [self._answer(answered, place) for place in places],
                [bool(wrong[place]) for place in places],
            ),
            self._first,
            len(order),
            {
                int(answered.indices[place]): self._in_words(answered, int(place))
                for place in places
            },
            _caption(
                answered,
                wrong,
                selection,
                asked_of(question, self._state.image_set),
                self._state.output_kind.remark,
                has_rows_of_labels(self._state.image_set),
            ),
        )

    def draw(self, page: AnswerPage) -> str:
        """Send the page; return the line under it."""
        self.shown = page
        self._slider.show(page.first, page.count)
        selected = self._state.selection.image
        names = [page.words[image] for image in page.images]
        self.thumbnails.show_images(page.images, page.tiles, selected, names)
        self._name(None)
        return page.caption

    def clear(self) -> None:
        """Show nothing: what was seen belongs to another checkpoint."""
        self.thumbnails.show_images((), np.zeros(0), None)

    def step(self, by: int) -> None:
        """Select the next image of the page."""
        image = self.thumbnails.beside(by)
        if image is not None:
            self._view.pick(image)

    def _name(self, image: int | None) -> None:
        """Say what is under the pointer, or selected."""
        named = self._state.selection.image if image is None else image
        self._pointed.show(self.shown.words.get(named, "") if self.shown else "")

    def _answer(self, answered: Responses, place: int) -> str:
        answer = int(answered.predicted[place])
        return "NaN" if answer < 0 else class_name(self._state.image_set, answer)

    def _in_words(self, answered: Responses, place: int) -> str:
        images = self._state.image_set
        truth = int(answered.labels[place])
        is_known = f"is {class_name(images, truth)}" if truth >= 0 else "class not known"
        name = images.name(int(answered.indices[place]))
        if answered.predicted[place] < 0:
            return f"{name} · {is_known} · its scores are NaN or infinite"
        share = f"{answered.probability[place]:.1%}"
        return f"{name} · {is_known} · answered {self._answer(answered, place)}, {share}"

    def _turned(self, first: int) -> None:
        self._first = first
        self._view.redraw()


def _wrong_first(answered: Responses) -> tuple[np.ndarray, np.ndarray]:
    """Return the places in the order of the page, and which answers are wrong.

    Wrong ones first, then those whose class is not known, then right ones; of each kind the most
    certain first, and before them those whose scores are no numbers.
    """
    predicted, labels = answered.predicted, answered.labels
    wrong = (predicted != labels) & (labels >= 0)
    kind = np.where(wrong, 0, np.where(labels < 0, 1, 2))
    certain = np.where(predicted < 0, np.inf, answered.probability)
    return np.lexsort((answered.indices, -certain, kind)), wrong


def _caption(
    answered: Responses,
    wrong: np.ndarray,
    selection: Selection,
    of: str,
    remark: str,
    has_rows: bool,
) -> str:
    labelled = int((answered.labels >= 0).sum())
    none = "each image has a row of labels" if has_rows else "no image has a label"
    kinds = (
        f"{int(wrong.sum()):,} of {labelled:,} labelled images answered wrong: first, and framed"
        if labelled
        else f"{none}, so none is known to be wrong"
    )
    unread = f"{len(answered.failures):,} cannot be read" if answered.failures else ""
    n = f"{selection.label} · n = {len(answered.indices):,} images{of}"
    most = "the most certain answers first, below each its answer"
    return " · ".join(filter(None, [n, kinds, most, unread, remark]))
