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

    findings: tuple[Finding, ...]
    """The gravest first."""
    fine: tuple[str, ...]
    """Rules that found nothing."""
    unchecked: tuple[tuple[str, str], ...]
    """Rules that could not be applied, and what they need."""


def examine(evidence: Evidence) -> Report:
    """Apply every rule for which there is evidence."""
    found: dict[str, list[Finding]] = {
        rule.name: rule.apply(evidence) for rule in RULES if rule.has(evidence)
    }
    everything = [finding for findings in found.values() for finding in findings]
    return Report(
        tuple(ranked(everything, [rule.name for rule in RULES])),
        tuple(name for name, findings in found.items() if not findings),
        tuple((rule.name, rule.needs) for rule in RULES if rule.name not in found),
    )
