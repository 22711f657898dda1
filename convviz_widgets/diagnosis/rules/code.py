"""The code of a finding: lines that take its evidence once more, and ask its rule again.

There is no rule in this module. The lines call the very rule that found the value, with the
thresholds that were used then, so they cannot say anything else. They take ``state``, ``run``,
``sweep``, ``images``, ``training``, ``validation`` and ``loader`` as they were given to `diagnose`,
and leave the number in ``value``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from textwrap import dedent
from typing import Any

from convviz_widgets.diagnosis.evidence import TensorFacts
from convviz_widgets.diagnosis.rule import AppliedRule
from convviz_widgets.diagnosis.run_curves import run_curves
from convviz_widgets.measure import BIASES, PRE_ACTIVATIONS, WEIGHTS
from convviz_widgets.tensors import distribution, evenly_spread, merged

WIDTH = 88
"""Columns of a line."""


def code(
    applied: AppliedRule, *arguments: str, lines: str, uses: Sequence[Any] = (), where: str = ""
) -> str:
    """Return the lines that take the evidence of a finding, and ask its rule for it again.

    Parameters
    ----------
    applied
        The rule.
    arguments, lines
        The evidence, in expressions of the names that the lines assign.
    uses
        Functions and classes in both.
    where
        Condition for the finding, named ``each``, among the rule's; without it the first is taken.
    """
    value = f"next(each.value for each in found if {where})" if where else "found[0].value"
    again = f"found = {_call(applied, *arguments)}\nvalue = {value}"
    return "\n".join([*_imports(applied.find, *uses), "", dedent(lines).strip(), again])


def curve_code(applied: AppliedRule, until: float, *arguments: str, where: str = "") -> str:
    """Return the lines that ask a rule about a run's ``curves`` as they were known at a step.

    The run may have grown since. The other parameters are those of `code`.
    """
    lines = f"curves = run_curves(run.metrics).until({until})"
    return code(applied, *arguments, lines=lines, uses=[run_curves], where=where)


def tensor_code(applied: AppliedRule, facts: TensorFacts, *arguments: str) -> str:
    """Return the lines that count a layer's parameters, or activations, and ask a rule about them.

    Parameters
    ----------
    facts
        What names the layer, the quantity and the step.
    arguments
        Those of the rule: expressions of ``facts``, the default is a list of them alone.
    """
    uses: list[Any] = [TensorFacts, distribution]
    getter = {WEIGHTS: "weight", BIASES: "bias"}.get(facts.what)
    if getter:
        counting = f"{at_step(facts.step)}\ncounted = distribution(state.{getter}({facts.layer!r}))"
    else:
        side = "in" if facts.what == PRE_ACTIVATIONS else "out"
        taken = f"distribution(state.activation({facts.layer!r}, side={side!r}))"
        batch = for_each_image("state.probe_indices", facts.step, f"parts.append({taken})")
        counting = f"parts = []\n{batch}\ncounted = merged(parts)"
        uses.append(merged)
    of = f"facts = TensorFacts.of({facts.layer!r}, {facts.what!r}, {facts.step}, counted)"
    given = arguments or ("[facts]",)
    return code(applied, *given, lines=f"{counting}\n{of}", uses=uses)


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


def _call(applied: AppliedRule, *arguments: str) -> str:
    given = [*arguments, *(f"{name}={value!r}" for name, value in applied.thresholds.items())]
    name = applied.find.__name__
    line = f"{name}({', '.join(given)})"
    if len(line) <= WIDTH:
        return line
    lines = "".join(f"    {each},\n" for each in given)
    return f"{name}(\n{lines})"


def _imports(*uses: Any) -> list[str]:
    """Return the lines that import these functions and classes."""
    names: dict[str, set[str]] = {}
    for each in uses:
        names.setdefault(_home(each), set()).add(each.__name__)
    return [f"from {home} import {', '.join(sorted(names[home]))}" for home in sorted(names)]


def _home(thing: Any) -> str:
    """Return the shortest path that a function or class can be imported from."""
    parts = thing.__module__.split(".")
    paths = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return next(
        path for path in paths if getattr(sys.modules.get(path), thing.__name__, None) is thing
    )
