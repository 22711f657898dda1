"""No rule, but what all of them use: the lines of code that compute a finding's value again.

The lines call the very rule or measurement that found the value, with the thresholds that were used
then, so they cannot say anything else. They take ``state``, ``run``, ``images``, ``training``,
``validation`` and ``loader`` as they were given to `diagnose`, and leave the number in ``value``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from textwrap import dedent
from typing import Any

from convviz_widgets.diagnosis.evidence import TensorFacts
from convviz_widgets.diagnosis.run_curves import run_curves
from convviz_widgets.measure import BIASES, PRE_ACTIVATIONS, WEIGHTS
from convviz_widgets.tensors import distribution, evenly_spread, merged

WIDTH = 88
"""Columns of a line."""


def code(*uses: Any, text: str) -> str:
    """Return ``text`` as lines of code, below the imports of the functions and classes it uses."""
    names: dict[str, set[str]] = {}
    for each in uses:
        names.setdefault(_home(each), set()).add(each.__name__)
    imports = [f"from {home} import {', '.join(sorted(names[home]))}" for home in sorted(names)]
    return "\n".join([*imports, "", dedent(text).strip()])


def call(function: Callable[..., Any], *arguments: str, **limits: Any) -> str:
    """Return the call of a function, with the expressions and the limits that it is given."""
    given = [*arguments, *(f"{name}={value!r}" for name, value in limits.items())]
    line = f"{function.__name__}({', '.join(given)})"
    if len(line) <= WIDTH:
        return line
    lines = "".join(f"    {each},\n" for each in given)
    return f"{function.__name__}(\n{lines})"


def curve_code(until: int, found: str, *uses: Any, where: str = "") -> str:
    """Return the lines that apply a rule to the curves of a run once more.

    Parameters
    ----------
    until
        Last step that was known: the run may have grown since.
    found
        The call of the rule, which reads ``curves``.
    uses
        The rule, and what else the call uses.
    where
        Condition for the finding, named ``each``, among the rule's; without it the first is taken.
    """
    value = f"next(each.value for each in found if {where})" if where else "found[0].value"
    return code(
        run_curves,
        *uses,
        text=f"curves = run_curves(run.metrics).until({until})\nfound = {found}\nvalue = {value}",
    )


def tensor_code(facts: TensorFacts, value: str, *uses: Any) -> str:
    """Return the lines that count a layer's parameters, or activations, once more.

    Parameters
    ----------
    facts
        What names the layer, the quantity and the step.
    value
        An expression of ``facts``.
    uses
        What the expression uses.
    """
    getter = {WEIGHTS: "weight", BIASES: "bias"}.get(facts.what)
    if getter:
        counting = f"{at_step(facts.step)}\ncounted = distribution(state.{getter}({facts.layer!r}))"
    else:
        side = "in" if facts.what == PRE_ACTIVATIONS else "out"
        taken = f"distribution(state.activation({facts.layer!r}, side={side!r}))"
        batch = for_each_image("state.probe_indices", facts.step, f"parts.append({taken})")
        counting = f"parts = []\n{batch}\ncounted = merged(parts)"
        uses = (*uses, merged)
    of = f"TensorFacts.of({facts.layer!r}, {facts.what!r}, {facts.step}, counted)"
    return code(TensorFacts, distribution, *uses, text=f"{counting}\nfacts = {of}\nvalue = {value}")


def at_step(step: int) -> str:
    """Return the line that takes the state to a checkpoint."""
    return f"state.select(checkpoint=state.steps.index({step}))"


def for_each_image(images: str, step: int, *lines: str) -> str:
    """Return the loop that takes the state to a checkpoint and to one image after the other."""
    select = f"state.select(checkpoint=state.steps.index({step}), image=image)"
    return "\n    ".join([f"for image in {images}:", select, *lines])


def evenly_spread_images(count: int) -> str:
    """Return the expression for so many images of the state, spread evenly."""
    return f"{evenly_spread.__name__}(len(state.image_set), {count})"


def _home(thing: Any) -> str:
    """Return the shortest path that a function or class can be imported from."""
    parts = thing.__module__.split(".")
    paths = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return next(
        path for path in paths if getattr(sys.modules.get(path), thing.__name__, None) is thing
    )
