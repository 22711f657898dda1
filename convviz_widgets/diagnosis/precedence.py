"""Precedence: explanations stand above symptoms, and symptoms that are explained are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convviz_widgets.diagnosis.finding import SEVERITIES, Finding

EXPLAINS = {
    "dead-layer": ("vanishing-gradient", "slow-learning", "update-ratio"),
    "vanishing-gradient": ("slow-learning",),
    "loss-jump": ("loss-surge",),
}
"""A rule that fires with a warning or an error → the rules of which nothing is said then."""


def ranked(findings: Iterable[Finding], order: Sequence[str]) -> list[Finding]:
    """Return what is not explained by something else, the gravest first.

    Parameters
    ----------
    order
        Names of the rules; of two findings as grave the earlier rule's comes first.
    """
    everything = list(findings)
    grave = {each.rule for each in everything if SEVERITIES.index(each.severity) <= 1}
    explained = {rule for cause in grave for rule in EXPLAINS.get(cause, ())}
    kept = [each for each in everything if each.rule not in explained]
    return sorted(kept, key=lambda each: _place(each, order))


def _place(finding: Finding, order: Sequence[str]) -> tuple[int, int, int]:
    step = -1 if finding.step is None else finding.step
    return SEVERITIES.index(finding.severity), order.index(finding.rule), step
