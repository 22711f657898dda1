"""OutputGallery: what comes out, image by image, at the clock's step and over the training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Unpack

from ipywidgets import Widget

from convviz_widgets.errors import InputError
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState, Question, Selection
from convviz_widgets.views.answer_wall import AnswerWall
from convviz_widgets.views.history_view import HistoryOptions, HistoryView, Seen
from convviz_widgets.views.picture_wall import PictureWall
from convviz_widgets.views.pointer_line import PointerLine
from convviz_widgets.views.recorded_outputs import RecordedOutputs


class OutputGallery(HistoryView):
    """Of an image-to-image model: input, target, output and difference; of a classifier: answers.

    Pictures: those of the selected image, large, and of a page of others. Below them chroma and
    contrast of the outputs over all checkpoints, as shares of the targets', with the limits below
    which pictures look washed out [Hui]. Chroma is √Σ_c(x_c − grey)², contrast the standard
    deviation of the luminance.

    Answers: thumbnails with the class that the model finds most probable, wrong ones first and
    framed; the most certain first.

    `wall` holds what is seen of the one or of the other.

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
    >>> view.wall.shown.count
    5
    """

    title: ClassVar[str] = "Outputs"
    caption_lines: ClassVar[int] = 3
    instant: ClassVar[bool] = False
    depends: ClassVar[frozenset[str]] = frozenset({"key", "checkpoint", "image", "revision"})

    def __init__(
        self, state: ModelState, *, run: Run | None = None, **options: Unpack[HistoryOptions]
    ) -> None:
        if run is not None and not isinstance(run, Run):
            raise InputError(f"run: expected a Run, got {type(run).__name__}")
        self._run = run
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Any:
        """Return what answers for all checkpoints."""
        return state.output_history

    def parts(self) -> tuple[Question, ...]:
        """Return what is shown, then what the drift needs."""
        return self.wall.questions(self._checkpoint)

    def controls(self) -> Sequence[Widget]:
        """Return those of the pages of a classifier."""
        selection = self.state.selection
        self._checkpoint = selection.checkpoint
        self.wall: AnswerWall | PictureWall
        if (self.state.classes or 0) > 1:
            self.wall = AnswerWall(self)
        else:
            images = self.state.image_set
            recorded = None if self._run is None else RecordedOutputs(self._run, images)
            self.wall = PictureWall(self, recorded)
        return self.wall.controls()

    def figures(self) -> Sequence[Widget]:
        """Return the pictures and the line under them."""
        self._pointed = PointerLine(self, self.width, "image", self._step_on)
        return [*self.wall.figures(self._pointed), self._pointed]

    def compute(self, selection: Selection) -> Seen:
        """Return what is known by now; ask for the rest.

        Raises
        ------
        InputError
            The model puts out neither class scores nor pictures.
        """
        self._checkpoint = selection.checkpoint
        if isinstance(self.wall, PictureWall):
            self.wall.prepare(selection)
        return super().compute(selection)

    def picture(self, selection: Selection) -> Any:
        """Return what there is to draw so far."""
        return self.wall.picture(selection)

    def draw(self, result: Seen) -> None:
        """Show it, and the progress."""
        super().draw(result)
        if result.picture is None:
            self.wall.clear()
            self.say("")

    def draw_picture(self, picture: Any) -> None:
        """Send it."""
        self.say(self.wall.draw(picture))

    def pick(self, image: int) -> None:
        """Select an image."""
        self.guarded(partial(self.state.select, image=image))

    def close(self) -> None:
        """Ask for nothing more, and let go of every widget."""
        if hasattr(self, "history"):  # else the view was refused
            super().close()

    def _step_on(self, by: int) -> None:
        self.wall.step(by)
