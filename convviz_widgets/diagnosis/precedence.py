"""Precedence: explanations stand above symptoms, and some symptoms are left to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from convviz_widgets.diagnosis.finding import REMARK, SEVERITIES, WARNING, Finding

LEFT_OUT = {
    "dead-layer": {"vanishing-gradient", "slow-learning", "update-ratio", "stuck-output"},
    "vanishing-gradient": {"slow-learning", "update-ratio", "stuck-output"},
    "exploding-gradient": {"update-ratio", "stuck-output"},
    "non-finite": {"stuck-output"},
    "slow-learning": {"stuck-output"},
}
"""A rule that warns → the rules of which nothing is said then: it explains them."""

LEFT_OUT_AFTER = {"loss-jump": {"loss-surge", "overfit"}}
"""The same, of what begins with the jump or after it."""

ABOVE = {
    "input-scale": {"dead-layer", "non-finite", "exploding-gradient"},
    "exploding-gradient": {"non-finite"},
}
"""A rule that warns → rules that it explains: it stands above them, as grave as they are."""

ABOVE_AFTER = {"loss-jump": {"dead-layer"}}
"""The same, of what is first seen after the jump."""

GRAVER = {"noisy-filter": {"overfit", "slow-learning"}}
"""A remark → the rules, one of which makes a warning of it."""


def ranked(findings: Iterable[Finding], order: Sequence[str]) -> list[Finding]:
    """Return the findings, the gravest first, and without what others explain.

    Parameters
    ----------
    order
        Names of the rules; of two findings as grave the earlier rule's comes first.
    """
    everything = list(findings)
    alarms = [each for each in everything if each.severity != REMARK]
    kept = [each for each in everything if not _is_left_out(each, alarms)]
    told = [_raised(each, kept) for each in kept]
    return sorted(told, key=lambda each: _place(each, order))


def _is_left_out(finding: Finding, alarms: Sequence[Finding]) -> bool:
    return any(
        finding.rule in LEFT_OUT.get(alarm.rule, ())
        or (finding.rule in LEFT_OUT_AFTER.get(alarm.rule, ()) and _is_after(finding, alarm))
        for alarm in alarms
    )


def _is_after(finding: Finding, alarm: Finding) -> bool:
    """Tell whether it is seen from the step before ``alarm`` on, whose update caused both."""
    return finding.step is not None and alarm.step is not None and finding.step >= alarm.step - 1


def _raised(finding: Finding, others: Sequence[Finding]) -> Finding:
    explained = [other for other in others if _explains(finding, other)]
    worst = min(_gravity(each) for each in [finding, *explained])
    if finding.severity == REMARK and any(
        other.rule in GRAVER.get(finding.rule, ()) and other.severity != REMARK for other in others
    ):
        worst = min(worst, SEVERITIES.index(WARNING))
    if not explained:
        return replace(finding, severity=SEVERITIES[worst])
    rules = ", ".join(dict.fromkeys(other.rule for other in explained))
    return replace(
        finding, severity=SEVERITIES[worst], message=f"{finding.message}; it explains {rules}"
    )


def _explains(finding: Finding, other: Finding) -> bool:
    if finding.severity == REMARK or other.severity == REMARK:
        return False
    return other.rule in ABOVE.get(finding.rule, ()) or (
        other.rule in ABOVE_AFTER.get(finding.rule, ()) and _is_after(other, finding)
    )


def _gravity(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _place(finding: Finding, order: Sequence[str]) -> tuple[int, int, int]:
    step = -1 if finding.step is None else finding.step
    return _gravity(finding), order.index(finding.rule), step
