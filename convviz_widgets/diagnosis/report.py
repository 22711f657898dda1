"""The report: what was found, what was checked and is fine, what could not be checked."""

from __future__ import annotations

from dataclasses import dataclass

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import Finding
from convviz_widgets.diagnosis.precedence import ranked
from convviz_widgets.diagnosis.rulebook import RULES


@dataclass(frozen=True)
class Report:
    """The outcome of every rule."""

    findings: tuple[Finding, ...] = ()
    """The gravest first."""
    fine: tuple[str, ...] = ()
    """Rules that found nothing."""
    unchecked: tuple[tuple[str, str], ...] = ()
    """Rules that could not be applied, and what they need."""


def examine(evidence: Evidence) -> Report:
    """Apply every rule for which there is evidence."""
    applied = {rule.name: rule.apply(evidence) for rule in RULES}
    everything = [finding for found in applied.values() for finding in found or ()]
    return Report(
        tuple(ranked(everything, [rule.name for rule in RULES])),
        tuple(name for name, found in applied.items() if found == []),
        tuple((rule.name, rule.needs) for rule in RULES if applied[rule.name] is None),
    )
