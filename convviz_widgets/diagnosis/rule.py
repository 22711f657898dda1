"""Rule: one thing that can be wrong, what it needs to be judged, and what it explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import Finding

Find = TypeVar("Find", bound=Callable[..., list[Finding]])

CHECKPOINTS = "a state with checkpoints"

LOSS = "a run with a training loss"
"""What several rules need, in words."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule, as `rule` registers it."""

    name: str
    """Such as "dead-layer"."""
    place: int
    """Of equally grave findings, that of the rule with the lowest place is told first. Places go by
    how much a rule explains, in tens, so that another fits between."""
    needs: str
    """What is missing where it cannot be judged, in words."""
    takes: Callable[[Evidence], tuple[Any, ...] | None]
    """Evidence → the arguments of ``find``; None where something is missing."""
    find: Callable[..., list[Finding]]
    """The function, with its thresholds as keyword arguments."""
    hides: tuple[str, ...] = ()
    """Rules of which nothing is said when this one raises an alarm, because it explains them."""
    hides_later: tuple[str, ...] = ()
    """The same, of what begins together with its first finding or later."""
    causes: tuple[str, ...] = ()
    """Rules that it explains and that are told all the same: it stands above them, as grave as
    they are."""
    causes_later: tuple[str, ...] = ()
    """The same, of what begins together with it or later."""
    graver_with: tuple[str, ...] = ()
    """Rules, an alarm of one of which turns its remarks into warnings."""

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
