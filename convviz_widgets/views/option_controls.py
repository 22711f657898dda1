"""Controls for the options of a view: a row of labelled drop-downs and switches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import (
    BoundedIntText,
    Button,
    Checkbox,
    Dropdown,
    HBox,
    IntSlider,
    Layout,
    Widget,
)

SIDES = {"output": "out", "input (pre-activation)": "in"}
"""Before or after the nonlinearity: what a layer puts out, and what an activation takes in."""


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


def choice(view: Any, name: str, label: str, options: Sequence[Any], width: int = 190) -> Dropdown:
    """Return a drop-down for the option ``name`` of a view."""
    control = Dropdown(
        options=list(options),
        value=getattr(view, name),
        description=label,
        layout=Layout(width=f"{width}px", flex="0 0 auto"),
        style={"description_width": "initial"},
    )
    return _tied(view, name, control)


def side_choice(view: Any) -> Dropdown:
    """Return the drop-down for the option ``side`` of a view."""
    return choice(view, "side", "Show", list(SIDES.items()), 212)


def switch(view: Any, name: str, label: str, width: int = 170) -> Checkbox:
    """Return a check box for the option ``name`` of a view."""
    control = Checkbox(
        value=getattr(view, name),
        description=label,
        indent=False,
        layout=Layout(width=f"{width}px", flex="0 0 auto"),
    )
    return _tied(view, name, control)


def number(view: Any, name: str, label: str, width: int = 140) -> BoundedIntText:
    """Return a field for the whole number of the option ``name`` of a view, from 0."""
    control = BoundedIntText(
        value=getattr(view, name),
        min=0,
        max=1_000_000,
        description=label,
        layout=Layout(width=f"{width}px", flex="0 0 auto"),
        style={"description_width": "initial"},
    )
    return _tied(view, name, control)


def slider(view: Any, name: str, label: str, most: int, width: int = 200) -> IntSlider:
    """Return a slider for the whole number of the option ``name`` of a view, from 1."""
    control = IntSlider(
        value=getattr(view, name),
        min=1,
        max=most,
        description=label,
        layout=Layout(width=f"{width}px", flex="0 0 auto"),
        style={"description_width": "initial"},
    )
    return _tied(view, name, control)


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
    """Give a control that stands below a title a name of its own, for those who only hear it.

    A tooltip would name it less well, and a button, a box and a picture differently or not at all.
    """
    control.description = name
    control.add_class("cvw-named")
    return control


def _tied(view: Any, name: str, control: Any) -> Any:
    """Write the control's value into the option, and the option's into the control.

    The option owns the value: it validates what the page sends, which may be anything.
    """
    control.observe(lambda change: setattr(view, name, change.new), names="value")
    view.observe(lambda change: setattr(control, "value", change.new), names=name)
    return control
