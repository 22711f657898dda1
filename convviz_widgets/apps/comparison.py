"""Comparison: the same views of two states, under one clock, layer, channel and image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from inspect import Parameter, Signature, signature
from typing import Any, ClassVar

from ipywidgets import Box, HBox, Layout, VBox

from convviz_widgets import views
from convviz_widgets.errors import InputError, unknown
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.state.link import Link
from convviz_widgets.views import ChannelStepper, ImageStrip, LayerList
from convviz_widgets.views.controls.clock import StepClock
from convviz_widgets.widgets import View, close_views, listen
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.view import at_most_wide

WIDTH = 828
"""Width in CSS pixels; a notebook's output is 848 wide."""

GAP = 16

HALF = (WIDTH - GAP) // 2


class Comparison(VBox):
    """Two models, or two runs, beside each other: the same views of both.

    Both show their last checkpoint at or before the clock's step. Where one of them lacks a layer
    or an image, its own selection stays; the line above each says what it shows.

    Parameters
    ----------
    left, right
        Two `ModelState` objects; they stay linked until the comparison is closed.
    view
        A view's class, such as `FilterMosaic`, or several, shown one below the other. Wide ones
        that cannot lie beside each other lie below each other, too.
    names
        What the two are called.
    options
        Options of the views, each of which has to take them all; a pair gives each side its own:
        ``run=(first, second)``. The signature lists those of this package's views, by which
        notebooks complete. No type can: one name has other values in another view, and a view of
        your own may have other names.

    Raises
    ------
    InputError
        Something else than two different states, than views, or than two names is given; a view
        does not take an option.

    Examples
    --------
    >>> other = cvw.ModelState(model, images)
    >>> compared = cvw.Comparison(state, other, cvw.FilterMosaic, names=("recorded", "now"))
    >>> compared.headings
    [('recorded · step 200', 'now · step 0')]
    >>> compared.close()
    """

    __signature__: ClassVar[Signature]

    def __init__(
        self,
        left: ModelState,
        right: ModelState,
        view: type[View] | Sequence[type[View]],
        *,
        names: Sequence[str] = ("left", "right"),
        **options: Any,
    ) -> None:
        _check(left, right, names)
        kinds = _view_classes(view)
        _check_options(kinds, options)
        self.pairs = [
            tuple(
                at_most_wide(kind, HALF)(state, **_of_side(options, side))
                for side, state in enumerate((left, right))
            )
            for kind in kinds
        ]
        super().__init__(layout=Layout(width=f"{WIDTH}px", overflow="hidden", grid_gap="8px"))
        self.link = Link(left, right)
        self.clock = StepClock(self.link)
        self.controls = [LayerList(left), ImageStrip(left), ChannelStepper(left)]
        self._names = tuple(map(str, names))
        self._headings = [_headings() for _ in self.pairs]
        still = {"flex": "0 0 auto", "grid_gap": f"{GAP}px"}
        self.children = [
            self.clock,
            HBox(self.controls, layout=Layout(**still)),
            *map(_laid_out, self.pairs, self._headings),
        ]
        for state in self.link.states:
            state.observe(self._head, names="selection")
        self._head()
        listen(self)

    @property
    def headings(self) -> list[tuple[str, ...]]:
        """What stands above the views of each pair: whose they are, and what they show."""
        return [tuple(each.text for each in pair) for pair in self._headings]

    def close(self) -> None:
        """Unlink the two states, and close every view and widget; the states stay open."""
        link = self.__dict__.pop("link", None)
        if link is None:
            return  # closed already, or refused before there was anything to close
        link.close()
        for state in link.states:
            state.unobserve(self._head, names="selection")
        self.clock.close()
        close_views(self)

    def _head(self, _change: Any = None) -> None:
        wanted = self.link.states[0].selection
        for headings in self._headings:
            for heading, name, state in zip(headings, self._names, self.link.states, strict=True):
                heading.show(f"{name} · {_what_is_shown(state.selection, wanted)}")


def _what_is_shown(shown: Selection, wanted: Selection) -> str:
    """Say the step, and which layer, channel or image it is, where that is another one."""
    others = [
        f"{field} {getattr(shown, field)}"
        for field in ("layer", "channel", "image")
        if getattr(shown, field) != getattr(wanted, field)
    ]
    return " · ".join([shown.label, *(f"has {other} instead" for other in others)])


def _spelled_out() -> Signature:
    """Return the constructor's signature with a parameter for each option of the views."""
    kinds = (getattr(views, name) for name in views.__all__)
    names = sorted({name for kind in kinds for name in _option_names(kind)})
    spelled = [Parameter(name, Parameter.KEYWORD_ONLY, default=...) for name in names]
    (*own, others) = list(signature(Comparison.__init__, eval_str=True).parameters.values())[1:]
    return Signature([*own, *spelled, others])


def _headings() -> tuple[Text, Text]:
    return Text(kind="title", width=f"{HALF}px"), Text(kind="title", width=f"{HALF}px")


def _laid_out(pair: tuple[View, ...], headings: tuple[Text, Text]) -> Box:
    """Return both views below their names, beside each other if there is room."""
    beside = pair[0].width <= HALF
    cells = [
        VBox([heading, each], layout=Layout(width=f"{HALF}px" if beside else "", flex="0 0 auto"))
        for heading, each in zip(headings, pair, strict=True)
    ]
    row = HBox if beside else VBox
    return row(cells, layout=Layout(flex="0 0 auto", grid_gap=f"{GAP}px"))


def _of_side(options: dict[str, Any], side: int) -> dict[str, Any]:
    return {
        name: value[side] if isinstance(value, tuple) and len(value) == 2 else value
        for name, value in options.items()
    }


def _view_classes(view: Any) -> list[type[View]]:
    kinds = list(view) if isinstance(view, Sequence) else [view]
    for kind in kinds:
        if not isinstance(kind, type) or not issubclass(kind, View):
            got = kind.__name__ if isinstance(kind, type) else f"a {type(kind).__name__}"
            raise InputError(f"Comparison takes a view's class, such as FilterMosaic; got {got}")
    if not kinds:
        raise InputError("Comparison takes a view's class, such as FilterMosaic; got none")
    return kinds


def _check_options(kinds: Sequence[type[View]], options: Mapping[str, Any]) -> None:
    """Refuse an option that a view does not take, before there is a widget to take back."""
    for kind in kinds:
        known = _option_names(kind)
        for name in options:
            if known and name not in known:
                raise InputError(unknown("option", name, known, f"{kind.__name__} takes"))


def _option_names(kind: type[View]) -> list[str]:
    """Return what a view takes by name; nothing where its constructor does not say."""
    parameters = list(signature(kind).parameters.values())[1:]  # the first is the state
    if any(each.kind == Parameter.VAR_KEYWORD for each in parameters):
        return []
    named = [each.name for each in parameters]
    return list(dict.fromkeys([*named, *kind.class_trait_names(option=True)]))


def _check(left: Any, right: Any, names: Any) -> None:
    for state in (left, right):
        if not isinstance(state, ModelState):
            raise InputError(f"Comparison takes two ModelStates, got {type(state).__name__}")
    if left is right:
        raise InputError("Comparison takes two ModelStates; both are the same one")
    if isinstance(names, str) or not isinstance(names, Sized) or len(names) != 2:
        raise InputError(f"names= takes two names, left and right, got {names!r}")


Comparison.__signature__ = _spelled_out()
