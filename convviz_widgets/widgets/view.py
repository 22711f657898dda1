"""View, the base of all views: a widget that is a function of the selection; and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from inspect import Parameter, Signature, signature
from time import perf_counter
from typing import Any, ClassVar, TypedDict, TypeVar, get_args, get_type_hints

from ipywidgets import Box, HBox, Layout, VBox, Widget
from traitlets import Bool, DefaultHandler, Enum, HasTraits, Int, TraitError, TraitType, Unicode

from convviz_widgets.errors import ConvVizError, InputError, in_one_line, unknown
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.widgets.controls import Link
from convviz_widgets.widgets.page_reload import serve_reloads
from convviz_widgets.widgets.text import Style, Text
from convviz_widgets.widgets.widget_tree import (
    FigureFrames,
    close_tree,
    controls_below,
    listen,
    name_of,
    widget_tree,
)


class ViewOptions(TypedDict, total=False):
    """What every view takes beside its state.

    A view with options of its own extends it: ``class FilterMosaicOptions(ViewOptions,
    total=False)`` names each with its type, ``**options: Unpack[FilterMosaicOptions]`` in the
    constructor lets editors complete and mypy check them. `View` spells them out, with their
    defaults, in the signature of the class, by which notebooks complete; at run time it refuses
    what it does not know.
    """

    layout: Layout | None
    visible: bool


class HasOptions(HasTraits):
    """Takes its traits that are tagged as options, and refuses in one line what does not fit."""

    __signature__: ClassVar[Signature | None]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        try:
            cls.__signature__ = _spelled_out(cls)
        except NameError:  # hints may name what is there for a type checker alone
            cls.__signature__ = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; an option that does not fit raises `InputError`, in one line."""
        try:
            super().__setattr__(name, value)
        except TraitError as error:
            raise InputError(self._refusal(name, value, error)) from error

    def take(self, options: Mapping[str, Any]) -> None:
        """Set these options; raises `InputError` for one that is not known, or does not fit."""
        known = [*self.trait_names(option=True), "visible"]
        for name in options:
            if name not in known:
                raise InputError(unknown("option", name, known, f"{type(self).__name__} takes"))
        for name, value in options.items():
            setattr(self, name, value)

    def _refusal(self, name: str, value: Any, error: TraitError) -> str:
        trait = self.traits().get(name)
        if isinstance(trait, Enum):
            return unknown(name, value, trait.values or (), f"{type(self).__name__} takes")
        return " ".join(str(error).split())


def _spelled_out(kind: type[HasOptions]) -> Signature:
    """Return the constructor's signature with a parameter for each of its typed options."""
    written = [
        each
        for each in list(signature(kind.__init__, eval_str=True).parameters.values())[1:]
        if each.kind != Parameter.VAR_KEYWORD
    ]
    (options, *_) = get_args(get_type_hints(kind.__init__).get("options")) or (ViewOptions,)
    types = get_type_hints(options)
    own_first = sorted(types, key=lambda name: name in ViewOptions.__annotations__)
    spelled = [
        Parameter(
            name, Parameter.KEYWORD_ONLY, default=_default(kind, name), annotation=types[name]
        )
        for name in own_first
        if name not in {each.name for each in written}
    ]
    return Signature([*written, *spelled])


def _default(kind: type[HasOptions], name: str) -> Any:
    """Return the default of an option, None for one that depends on the state."""
    handlers = [each for each in vars(kind).values() if isinstance(each, DefaultHandler)]
    depends = name == "layout" or name in [each.trait_name for each in handlers]
    trait = getattr(kind, name, None)
    return trait.default() if isinstance(trait, TraitType) and not depends else None


class View(HasOptions, VBox):
    """Show one thing about the selection: ``depends``, ``compute`` and ``draw`` say what.

    ``compute(selection)`` asks the state about *that* selection, whatever is selected now, and
    touches no widget; ``draw(result)`` sends and computes nothing. The base class does the rest:
    it subscribes, skips what did not change, does nothing while hidden or taken off the page,
    catches up when shown, and shows its own errors in place.

    Code and tests read off a view what its user reads: `caption`, `note`, `pointed`, `problem`,
    and `control`, which finds a button or a list by the name that it has on the page.
    """

    title: ClassVar[str] = ""
    depends: ClassVar[frozenset[str]] = frozenset()
    """Fields of the `Selection` whose change makes the picture another one."""
    width: ClassVar[int] = 566
    """Width of the view in CSS pixels; a notebook's output is 848 wide."""
    fits_narrower: ClassVar[bool] = False
    """Whether the view is right at a smaller width, too."""
    caption_lines: ClassVar[int] = 2
    """Lines kept free for the caption, so that nothing jumps when it changes."""
    instant: ClassVar[bool] = False
    """Whether the view needs no forward pass."""
    reads_weights: ClassVar[bool] = False
    """Whether an instant view needs the weights of the checkpoint, which may be slow to load."""

    caption_text: ClassVar[type[Text]] = Text
    """What the caption is written into."""

    visible = Bool(True, help="A hidden view computes nothing and catches up when shown.")
    redrawn = Int(0, help="Counts the redraws that no selection has caused.")
    problem = Unicode("", help="One line on what went wrong; empty while all is well.")

    def __init__(self, state: ModelState, *, layout: Layout | None = None, **options: Any) -> None:
        self.refuse_others(state)
        serve_reloads()
        self.state = state
        self.take(options)  # refused before there is a widget to take back
        still = {"width": f"{self.width}px", "flex": "0 0 auto", "overflow": "visible"}
        super().__init__(layout=layout or Layout(**still, margin="0"))
        self.add_class("cvw-view")
        self.draw_count = 0
        """How often the view has drawn."""
        self.seconds = 0.0
        """How long the last compute and draw took together."""
        self._drawn: Selection | None = None
        self._closed = False
        self.option_links: list[Link] = []
        """The controls of the options, as the page knows them."""
        self._figure_frames = FigureFrames()
        self._note = Text(kind="busy", flex="1 1 auto")
        self._problem = Text(kind="problem", display="none")
        self._caption = self.caption_text(
            kind="quiet wrap", min_height=f"{18 * self.caption_lines}px"
        )
        self._caption.layout.margin = "0 0 6px 0"  # from the title of the view below
        self._caption.layout.display = "block" if self.caption_lines else "none"
        self._body = VBox(list(self.build()), layout=Layout(flex="0 0 auto", overflow="hidden"))
        heading = _heading(self.title, self._note)
        self.children = [Style(), heading, self._problem, self._body, self._caption]
        if names := self.trait_names(option=True):  # no names would mean every trait
            self.observe(self._option_changed, names=names)
        self.observe(self._shown, names="visible")
        self._view_count = 0  # now the pages say whenever they show the view, or no longer do
        self.observe(self._paged, names="_view_count")
        state.observe(self._selected, names="selection")
        self.update()

    @classmethod
    def refuse_others(cls, state: Any) -> None:
        """Raise `InputError` for anything but a `ModelState`."""
        if not isinstance(state, ModelState):
            raise InputError(f"{cls.__name__} shows a ModelState, got {type(state).__name__}")

    # -- what a view says of itself -----------------------------------------------------------

    def build(self) -> Sequence[Widget]:
        """Return the widgets of the view's body, made once."""
        return ()

    def controls(self) -> Sequence[Widget]:
        """Return the rows of controls for the view's options; it is for `build` to lay them out."""
        return ()

    def compute(self, selection: Selection) -> Any:
        """Return what there is to draw for this selection; touches no widget.

        The getters of the state take it as ``selection=``.
        """
        raise NotImplementedError

    def draw(self, result: Any) -> None:
        """Send the result to the page; computes nothing."""
        raise NotImplementedError

    # -- what a user reads and takes hold of --------------------------------------------------

    @property
    def caption(self) -> str:
        """The line under the picture: n, step, scale, threshold.

        >>> cvw.ActivationMosaic(state).caption
        '0 · 4 channels of 6×6 · step 200 · n = 1 image · scale -0.747 to 0.747, blue-orange · ...'
        """
        return self._caption.text

    @property
    def note(self) -> str:
        """The line beside the title: what is being computed; empty while nothing is."""
        return self._note.text

    @property
    def pointed(self) -> str:
        """The line about what is under the pointer; empty for a view that has none.

        >>> view = cvw.ActivationMosaic(state)
        >>> view.raster.point_at(5, 5)
        >>> view.pointed
        'channel 0: -0.747 to 0.13, 0% zero'
        """
        return "" if self._pointed is None else str(self._pointed.text)

    @property
    def control_names(self) -> tuple[str, ...]:
        """The names of all controls that are seen now, in the order of the page.

        >>> cvw.ActivationMosaic(state).control_names
        ('Colours', 'Show', 'own scale per map', 'previous channel', 'next channel')
        """
        return tuple(name_of(control) for control in controls_below(self))

    def control(self, name: str) -> Any:
        """Return the control of this name, to read it or to do with it what a user would.

        Parameters
        ----------
        name
            Its label, or for one without a label its tooltip.

        Raises
        ------
        InputError
            No control that is seen now has this name.

        Examples
        --------
        >>> view = cvw.ActivationMosaic(state)
        >>> view.control("Colours").value = "magma"
        >>> view.control("next channel").click()
        >>> view.colormap, state.channel
        ('magma', 1)
        """
        for control in controls_below(self):
            if name_of(control) == name:
                return control
        raise InputError(unknown("control", name, self.control_names, f"{type(self).__name__} has"))

    _pointed: Any = None

    # -- what the base class does -------------------------------------------------------------

    @property
    def awake(self) -> bool:
        """Whether there is somebody to draw for: visible, not closed, and not off the page."""
        return self.visible and not self._off_page and not self._closed

    def update(self) -> None:
        """Draw if the view is awake and something that it depends on has changed."""
        if self.awake and self.state.selection.changed(self._drawn) & self.depends:
            self.redraw()

    def redraw(self) -> None:
        """Compute and draw, whatever has changed; errors are shown in place of the picture."""
        with self.state.hold() as selection:
            if self._closed:  # while a thread that measures was waiting for its turn
                return
            started = perf_counter()
            self._drawn = selection
            try:
                if self._is_slow(selection):
                    self._note.show(f"computing {selection.label} …")
                    listen(self)
                result = self.compute(selection)
                self.draw(result)
                self.draw_count += 1
                self._show_problem("")
            except Exception as error:
                # An observer that raises stops the views after it and shows nowhere.
                self._show_problem(in_one_line(error), hide=True)
            except BaseException:
                self._drawn = None  # interrupted: what is seen is the picture before
                raise
            finally:
                self._note.show("")
                self.seconds = perf_counter() - started
                listen(self)
        if not self.state.publishing_here():
            self.redrawn += 1

    def drew_for(self, selection: Selection) -> bool:
        """Tell whether the view has drawn because of this selection."""
        return self._drawn is selection

    def say(self, caption: str) -> None:
        """Write the line under the picture: n, step, scale, threshold."""
        self._caption.show(caption)

    def reveal(self, frame: Box, figure: Widget) -> None:
        """Put a figure into its frame once it has been drawn; it stands there while it is seen."""
        self._figure_frames.place(frame, figure)

    def guarded(self, action: Callable[[], Any]) -> None:
        """Do what a control asks for; what it may not ask for is said beside the picture."""
        try:
            action()
        except ConvVizError as error:
            self._show_problem(in_one_line(error))
            self._refused = True
        else:
            if self._refused:
                self._show_problem("")

    _refused = False

    def select(self, **changes: Any) -> None:
        """Select in the state what a control asks for; a refusal is said beside the picture."""
        self.guarded(lambda: self.state.select(**changes))

    def when_chosen(self, control: Widget, select: Callable[[Any], Any]) -> None:
        """Call ``select`` with what the user chooses; what the state publishes is selected already.

        None stands for no choice.
        """

        def chosen(change: Any) -> None:
            if change.new is not None and not self.state.publishing_here():
                select(change.new)

        control.observe(chosen, names="value")

    def close(self) -> None:
        """Stop listening to the state and let go of every widget of the view."""
        if isinstance(getattr(self, "state", None), ModelState):  # else the view was refused
            with self.state.hold():  # whoever draws has made all the widgets there will be
                self._closed = True
            with suppress(ValueError):  # a closed state has let go of its observers already
                self.state.unobserve(self._selected, names="selection")
        close_tree(self)
        if hasattr(self, "_figure_frames"):  # else the view was refused
            self._figure_frames.close()

    def __del__(self) -> None:
        """Close what was refused half made, without waiting for whoever draws now."""
        if isinstance(getattr(self, "state", None), ModelState):
            self.state.when_free(self.close)
        else:
            self.close()

    def _is_slow(self, selection: Selection) -> bool:
        if self.reads_weights:
            return self.state.is_slow_to_load(selection)
        return not self.instant and self.state.is_slow(selection)

    def _selected(self, _change: Any) -> None:
        self.update()

    def _shown(self, _change: Any) -> None:
        self.update()
        if self.awake:
            self._figure_frames.fill()
        else:
            self._figure_frames.clear()

    def _paged(self, change: Any) -> None:
        """Rest when the last page lets go of the view: its cell has been run again, or cleared.

        A view that no page has shown yet does draw. A reload does not reduce the number of pages
        that show a view: one may go on drawing unseen, but none that is seen ever rests.
        """
        self._off_page = change.new == 0
        self._shown(change)

    _off_page = False

    def _option_changed(self, _change: Any) -> None:
        self._drawn = None
        self.update()

    def _show_problem(self, line: str, hide: bool = False) -> None:
        """Say what went wrong; ``hide`` the picture, which is another one's, not the controls."""
        self._refused = False
        self.problem = line
        self._problem.show(line)
        self._problem.layout.display = "" if line else "none"
        shown = "hidden" if hide else "visible"
        self._caption.layout.visibility = shown
        for part in self._body.children:
            if not isinstance(part, HBox) and not part.has_trait("disabled"):
                part.layout.visibility = shown


def _heading(title: str, note: Text) -> HBox:
    """Return the title with the note beside it, in a line of constant height."""
    shown = "flex" if title else "none"
    line = Layout(height="22px", flex="0 0 auto", overflow="hidden", display=shown)
    return HBox([Text(title, "title", flex="0 0 auto"), note], layout=line)


AnyView = TypeVar("AnyView", bound=View)


def at_most_wide(kind: type[AnyView], width: int) -> type[AnyView]:
    """Return the view's class at most ``width`` CSS pixels wide, where it can be made so.

    A mosaic then breaks into more rows, an axis has fewer pixels.
    """
    if not kind.fits_narrower or kind.width <= width:
        return kind
    sizes: dict[str, Any] = {"width": width}
    if frame := getattr(kind, "frame", None):
        sizes["frame"] = (min(frame[0], width), frame[1])
    return type(kind.__name__, (kind,), sizes)


def close_views(root: Widget) -> None:
    """Close every view below ``root``, then all widgets that are left, itself included."""
    for widget in list(widget_tree(root)):
        if isinstance(widget, View):
            widget.close()
    close_tree(root)
