"""Controls of a view: drop-downs, switches, buttons, legends and PointerLine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ipywidgets import (
    BoundedIntText,
    Box,
    Button,
    Checkbox,
    Dropdown,
    HBox,
    IntSlider,
    Layout,
    VBox,
    Widget,
)

from convviz_widgets.widgets.text import Text, readable


def line(*controls: Widget) -> HBox:
    """Lay controls out side by side, in a line of constant height."""
    return HBox(
        list(controls),
        layout=Layout(
            flex="0 0 auto",
            flex_flow="row wrap",  # in a narrow view
            overflow="hidden",
            min_height="32px",
            align_items="center",
        ),
    )


def last_control(rows: Sequence[Widget]) -> Any:
    """Return the last control of these rows, where the focus goes back to from below them."""
    controls = [control for row in rows for control in getattr(row, "children", ())]
    return controls[-1] if controls else None


def labelled(kind: Any, label: str, width: int, **traits: Any) -> Any:
    """Return a control of a kind, ``width`` pixels wide, whose label is as wide as it is."""
    still, style = Layout(width=f"{width}px", flex="0 0 auto"), {"description_width": "initial"}
    return kind(description=label, layout=still, **({"style": style} | traits))


def list_options(control: Any, options: Sequence[tuple[str, Any]]) -> bool:
    """Give a list its options (label, value), and tell whether it had others before.

    Values that are their own labels stand alone.
    """
    shown: tuple[Any, ...] = tuple((readable(label), value) for label, value in options)
    if all(label == value for label, value in shown):
        shown = tuple(value for _, value in shown)
    if shown == control.options:
        return False
    control.options = shown
    return True


def fill(control: Any, options: Sequence[tuple[str, Any]], value: Any) -> None:
    """Give a list its options (label, value), and choose the one of this value, or none."""
    list_options(control, options)
    control.value = value if value in [each for _, each in options] else None


class Choice(Dropdown):
    """A drop-down that lists its value, too, where that is none of its options.

    Parameters
    ----------
    options
        Labels with values, or values alone.
    said
        Turns a value that is none of them into its label.
    """

    def __init__(self, options: Sequence[Any], said: Callable[[Any], str], **traits: Any) -> None:
        self._given, self._said = tuple(options), said
        self.is_filling = False
        super().__init__(options=self._given, **traits)

    def offer(self, options: Sequence[Any], value: Any) -> None:
        """Give it other options, and choose a value; whoever observes it waits `is_filling` out."""
        self._given = tuple(options)
        unlisted = () if value in _values(options) else ((self._said(value), value),)
        shown = (*self._given, *unlisted)
        self.is_filling = True  # new options choose the first of them
        try:
            if shown != self.options:  # type: ignore[has-type]
                self.options = shown
            self.value = value
        finally:
            self.is_filling = False

    def choose(self, value: Any) -> None:
        """Choose a value, listed or not."""
        if value in _values(self.options):
            self.value = value
        else:
            self.offer(self._given, value)


def _values(options: Sequence[Any]) -> list[Any]:
    return [each[1] if isinstance(each, tuple) else each for each in options]


def choice(
    view: Any,
    name: str,
    label: str,
    options: Sequence[Any],
    width: int = 190,
    said: Callable[[Any], str] = str,
) -> Choice:
    """Return a drop-down for the option ``name`` of a view.

    Parameters
    ----------
    said
        Turns a value that the option takes, but that is not listed, into its label.
    """
    control: Choice = _tied(view, name, Choice, label, width, options=list(options), said=said)
    return control


SIDES = {"output": "out", "input (pre-activation)": "in"}
"""Before or after the nonlinearity: what a layer puts out, and what an activation takes in."""


def side_choice(view: Any) -> Choice:
    """Return the drop-down for the option ``side`` of a view."""
    return choice(view, "side", "Show", list(SIDES.items()), 212)


def switch(view: Any, name: str, label: str, width: int = 170) -> Checkbox:
    """Return a check box for the option ``name`` of a view."""
    return _tied(view, name, Checkbox, label, width, indent=False, style={})


def number(view: Any, name: str, label: str, width: int = 140) -> BoundedIntText:
    """Return a field for the whole number of the option ``name`` of a view, from 0."""
    return _tied(view, name, BoundedIntText, label, width, min=0, max=1_000_000)


def slider(view: Any, name: str, label: str, most: int, width: int = 200) -> IntSlider:
    """Return a slider for the whole number of the option ``name`` of a view, from 1."""
    return _tied(view, name, IntSlider, label, width, min=1, max=most)


def _tied(view: Any, name: str, kind: Any, label: str, width: int, **traits: Any) -> Any:
    """Return a control that writes its value into an option of a view, and follows it.

    The option owns the value: it validates what the page sends, which may be anything, and the
    control goes back to it where that is refused.
    """
    control = labelled(kind, label, width, **traits)

    def follow(_change: Any = None) -> None:
        value = getattr(view, name)
        if isinstance(control, Choice):
            control.choose(value)
        else:
            if control.has_trait("max"):
                control.max = max(control.max, value)
            control.value = value

    def choose(change: Any) -> None:
        if not getattr(control, "is_filling", False):
            try:
                setattr(view, name, change.new)
            finally:
                follow()

    follow()
    control.observe(choose, names="value")
    view.observe(follow, names=name)
    view.option_links.append((control, name, places_of(control)))
    return control


Link = tuple[Widget, str, list[Any] | None]
"""A control, the field that it chooses, and what its places stand for; None: its value is meant."""


def places_of(control: Any) -> list[Any] | None:
    """Return what the places of a list stand for; None for a control with a value of its own."""
    return _values(control.options) if hasattr(control, "options") else None


def icon_button(
    view: Any,
    icon: str,
    name: str,
    action: Callable[[], Any],
    width: int = 40,
    height: int = 28,
) -> Button:
    """Return a button that does something with the state of a view; ``icon`` is in `ICONS`."""
    still = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", padding="0")
    button = Button(icon=icon, tooltip=name, layout=still)
    button.add_class("cvw-icon")
    button.on_click(lambda _button: view.guarded(action))
    return button


def named(control: Any, name: str) -> Any:
    """Give a control that stands below a title a name of its own, which a screen reader reads.

    A tooltip would name it less well, and a button, a box and a picture differently or not at all.
    """
    control.description = name
    control.add_class("cvw-named")
    return control


def legend(*entries: tuple[str, str, str]) -> HBox:
    """Return a line of entries (name, colour, "solid" or "dashed")."""
    still = Layout(overflow="hidden", flex="0 0 auto", flex_flow="row wrap", min_height="22px")
    return HBox([legend_entry(*entry) for entry in entries], layout=still)


def legend_entry(name: str, colour: str, stroke: str) -> HBox:
    """Return one entry: a piece of the line, and its name."""
    swatch = VBox(layout=Layout(width="18px", height="4px", margin="9px 4px 0 6px"))
    swatch.layout.border_top = f"3px {stroke} {colour}"
    return HBox([swatch, Text(name, "quiet")], layout=Layout(overflow="hidden", flex="0 0 auto"))


STEPS = (("angle-left", "previous", -1), ("angle-right", "next", 1))
"""Icon of each button, its word, and how far it goes."""

BESIDE = 300
"""Pixels of width from which on the buttons leave enough room for the text; else they go below."""


class PointerLine(Box):
    """Text of constant height, and buttons for those who cannot point at the picture.

    Parameters
    ----------
    view
        Says what goes wrong when a button is pressed.
    width
        Width in pixels, that of the picture.
    steps
        What the buttons step through, as they are called: "channel". Without it there are none.
    step
        Called with -1 or 1.
    text
        What is written into: a `PageText` where the page follows the pointer by itself.
    """

    def __init__(
        self,
        view: Any,
        width: int,
        steps: str = "",
        step: Callable[[int], Any] | None = None,
        text: type[Text] = Text,
    ) -> None:
        alone = width < BESIDE
        self._text = text(kind="quiet", flex="0 0 100%" if alone else "1 1 0", min_width="0")
        self.buttons: tuple[Button, ...] = ()
        if step is not None and steps:
            self.buttons = tuple(
                icon_button(view, icon, f"{word} {steps}", partial(step, by), 30, 22)
                for icon, word, by in STEPS
            )
        height = 46 if alone and self.buttons else 24
        still = Layout(width=f"{width}px", height=f"{height}px", flex="0 0 auto", margin="0")
        still.align_items, still.overflow, still.flex_flow = "center", "hidden", "row wrap"
        super().__init__([self._text, *self.buttons], layout=still)

    def show(self, text: str) -> None:
        """Say what is under the pointer."""
        self._text.show(text)

    @property
    def text_id(self) -> str:
        """The widget that says it, for the page."""
        return str(self._text.model_id)

    @property
    def text(self) -> str:
        """What the line says."""
        return self._text.text

    def first_button(self) -> Button | None:
        """Return the control that follows the picture, if there is one."""
        return next(iter(self.buttons), None)


def move_clock(view: Any, by: int) -> None:
    """Move the clock of a view by so many checkpoints, as far as there are some."""
    state = view.state
    moved = state.selection.checkpoint + by
    if by and 0 <= moved < len(state.steps):
        view.guarded(lambda: state.select(checkpoint=moved))
