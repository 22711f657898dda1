"""The report: what was found, what was checked and is fine, what could not be checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, cast

from convviz_widgets.diagnosis import rules
from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import REMARK, SEVERITIES, WARNING, Finding
from convviz_widgets.diagnosis.rule import REGISTERED, Rule

for _found in iter_modules(rules.__path__):  # a module of rules registers them as it is imported
    import_module(f"{rules.__name__}.{_found.name}")


RULES: tuple[Rule, ...] = tuple(sorted(REGISTERED.values(), key=lambda each: each.place))
"""All rules; of two equally grave findings, the earlier rule's is listed first."""


@dataclass(frozen=True)
class Report:
    """The outcome of every rule."""

    findings: tuple[Finding, ...] = ()
    """The gravest first."""
    fine: tuple[str, ...] = ()
    """Rules that found nothing."""
    unchecked: tuple[tuple[str, str], ...] = ()
    """Rules that could not be applied, and what they need."""
    unmeasured: tuple[tuple[str, str], ...] = ()
    """Rules that could not be applied because measuring failed, or could be only in part and found
    nothing there, and one line on why."""


def examine(evidence: Evidence) -> Report:
    """Apply every rule for which there is evidence."""
    applied = {rule.name: rule.apply(evidence) for rule in RULES}
    left = [rule for rule in RULES if applied[rule.name] is None]
    failed = {rule.name: why for rule in left if (why := _failure(rule, evidence)) is not None}
    empty = [name for name, found in applied.items() if found == []]
    failed |= {name: evidence.in_part[name] for name in empty if name in evidence.in_part}
    return Report(
        tuple(ranked(finding for found in applied.values() for finding in found or ())),
        tuple(name for name in empty if name not in failed),
        tuple((rule.name, rule.needs) for rule in left if rule.name not in failed),
        tuple(failed.items()),
    )


def _failure(rule: Rule, evidence: Evidence) -> str | None:
    """Return why what the rule looks at could not be measured; None where it was not given."""
    read = FieldsRead(evidence)
    rule.takes(cast(Evidence, read))
    return next(
        (evidence.unmeasured[name] for name in read.names if name in evidence.unmeasured), None
    )


class FieldsRead:
    """Stands for evidence, and notes the names of the fields that a rule looks at."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.names: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.names.append(name)
        return getattr(self._evidence, name)


# -- which finding explains which ----------------------------------------------------------------


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the gravest first, and without those that others explain."""
    everything = list(findings)
    alarms = [each for each in everything if each.severity != REMARK]
    kept = [each for each in everything if not _is_hidden(each, alarms)]
    return sorted((_raised(each, kept) for each in kept), key=_order)


def _is_hidden(finding: Finding, alarms: Sequence[Finding]) -> bool:
    return any(
        _is_among(finding, alarm, _rule(alarm).hides, _rule(alarm).hides_later) for alarm in alarms
    )


def _raised(finding: Finding, others: Sequence[Finding]) -> Finding:
    """Return the finding as grave as those it explains, and with the names of their rules."""
    explained = [other for other in others if _explains(finding, other)]
    gravest = min(_gravity(each) for each in (finding, *explained))
    if finding.severity == REMARK and any(
        other.rule in _rule(finding).graver_with and other.severity != REMARK for other in others
    ):
        gravest = min(gravest, SEVERITIES.index(WARNING))
    raised = replace(finding, severity=SEVERITIES[gravest])
    if not explained:
        return raised
    rules = ", ".join(dict.fromkeys(other.rule for other in explained))
    return replace(raised, message=f"{finding.message}; it explains {rules}")


def _explains(finding: Finding, other: Finding) -> bool:
    if REMARK in (finding.severity, other.severity):
        return False
    return _is_among(other, finding, _rule(finding).causes, _rule(finding).causes_later)


def _is_among(
    finding: Finding, cause: Finding, always: tuple[str, ...], later: tuple[str, ...]
) -> bool:
    """Tell whether a finding is of one of these rules; of those ``later``, after the cause."""
    return finding.rule in always or (finding.rule in later and _is_after(finding, cause))


def _is_after(finding: Finding, cause: Finding) -> bool:
    """Tell whether it is seen from the step before ``cause`` on, whose update caused both."""
    at, since = finding.log_step, cause.log_step
    return at is not None and since is not None and at >= since - 1


def _rule(finding: Finding) -> Rule:
    return REGISTERED[finding.rule]


def _gravity(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _order(finding: Finding) -> tuple[int, int, int]:
    step = -1 if finding.step is None else finding.step
    return _gravity(finding), _rule(finding).place, step
