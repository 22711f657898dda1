"""Rule: one thing that can be wrong, what it needs to be judged, and what it explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import Finding

RuleFunction = Callable[..., list[Finding]]

Find = TypeVar("Find", bound=RuleFunction)

CHECKPOINTS = "a state with checkpoints"

LOSS = "a run with a training loss"
"""Needs of several rules, in words; so is the one above."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule, as `rule` registers it."""

    name: str
    """Such as "dead-layer", of `dead_layer`."""
    place: int
    """Order among equally grave findings: the lowest place is listed first. A rule that explains
    more has a lower place; places go in tens, so that a new rule fits between."""
    needs: str
    """What it needs to be judged, in words: the report says so where that is missing."""
    takes: Callable[[Evidence], tuple[Any, ...] | None]
    """Evidence → the arguments of ``find``; None where something is missing."""
    find: RuleFunction
    """Its function, with the thresholds as keyword arguments."""
    hides: tuple[str, ...] = ()
    """Rules whose findings are left out when this one raises an alarm, because it explains them."""
    hides_later: tuple[str, ...] = ()
    """Rules of which only those findings are left out that begin with its first alarm or later."""
    causes: tuple[str, ...] = ()
    """Rules that it explains and whose findings stay in the report: its own finding stands above
    them, as grave as they are."""
    causes_later: tuple[str, ...] = ()
    """Rules of which it explains only those findings that begin together with its own or later."""
    graver_with: tuple[str, ...] = ()
    """Rules whose alarm, of any of them, turns the remarks of this rule into warnings."""

    def apply(self, evidence: Evidence) -> list[Finding] | None:
        """Return what it finds; None where the evidence lacks what it needs."""
        given = self.takes(evidence)
        return None if given is None else self.find(*given)


REGISTERED: dict[str, Rule] = {}
"""The rules by name, of the modules imported so far; `report.RULES` has all of them, by place."""


def rule(name: str, **given: Any) -> Callable[[Find], Find]:
    """Register the function below as a rule, and return it as it is.

    Parameters
    ----------
    name, given
        The attributes of `Rule`, but for ``find``.
    """

    def register(find: Find) -> Find:
        assert name not in REGISTERED, f"two rules are called {name}"
        REGISTERED[name] = Rule(name=name, find=find, **given)
        return find

    return register


class AppliedRule:
    """A rule with the thresholds that it was given: what the code of a finding applies again."""

    def __init__(self, find: RuleFunction, **thresholds: float) -> None:
        self.find, self.thresholds = find, thresholds
        self.name = find.__name__.replace("_", "-")
