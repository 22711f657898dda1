"""DiagnosisPanel: what is abnormal in a run, and the way to the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from ipywidgets import Button, Layout, Select, Textarea, Widget
from traitlets import Bool, Unicode

from convviz_widgets.diagnosis import ERROR, REMARK, RULES, WARNING, Finding, Report
from convviz_widgets.errors import InputError, number_of, unknown
from convviz_widgets.record import Run
from convviz_widgets.state import Examination, ModelState, Progress, Selection
from convviz_widgets.state.examination import said_of_failures
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.widgets.background_view import BackgroundView
from convviz_widgets.widgets.controls import choice, line, list_options, named
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.view import ViewOptions

SIGNS = {ERROR: "✖ error", WARNING: "▲ warning", REMARK: "· remark"}


@dataclass(frozen=True)
class DiagnosisSoFar:
    """What the panel shows: the report so far, and how far the measuring has come."""

    report: Report
    shown: tuple[Finding, ...]
    """The findings that the filter keeps."""
    progress: Progress
    running: bool

    @property
    def goes_on(self) -> bool:
        """Whether there may be more to come."""
        return self.running or not self.progress.complete


class RuleName(Unicode):
    """The name of a rule of the diagnosis, or nothing for all of them."""

    def validate(self, obj: Any, value: Any) -> str:
        """Return the name; raises `InputError` for one that no rule has."""
        names = [rule.name for rule in RULES]
        if not isinstance(value, str) or value not in ["", *names]:
            raise InputError(unknown("rule", value, names, "the rules are"))
        return value


class DiagnosisPanelOptions(ViewOptions, total=False):
    """Options of `DiagnosisPanel`."""

    rule: str
    stopped: bool


class DiagnosisPanel(BackgroundView):
    """List the findings of `convviz_widgets.diagnose`, the gravest first.

    What the rules need is measured in the background as long as the panel is visible; "Cancel"
    stops it, and the findings are those of what is there.

    Parameters
    ----------
    run, sweep, images, validation, loader
        As `convviz_widgets.diagnose` takes them.

    Attributes
    ----------
    examination : what measures and judges.

    Examples
    --------
    >>> panel = cvw.DiagnosisPanel(state)
    >>> panel.examination.wait(60)
    True
    >>> "Checked and fine" in panel.summary
    True
    >>> [finding.rule for finding in panel.findings] == [each.rule for each in cvw.diagnose(state)]
    True
    """

    title: ClassVar[str] = "Diagnosis"
    caption_lines: ClassVar[int] = 1
    depends: ClassVar[frozenset[str]] = frozenset({"revision"})

    rule = RuleName("", help="Show the findings of this rule alone; empty: all.").tag(option=True)
    stopped = Bool(False, help="Whether the user has cancelled the measuring.").tag(option=True)

    def __init__(
        self,
        state: ModelState,
        *,
        run: Run | None = None,
        sweep: SweepResult | None = None,
        images: Any = None,
        validation: Any = None,
        loader: Any = None,
        **options: Unpack[DiagnosisPanelOptions],
    ) -> None:
        self.refuse_others(state)
        if isinstance(run, Run):
            state.attach(run)
        self._on_show: list[Callable[[Finding], None]] = []
        self._judged: tuple[int, int] | None = None
        self._given = {
            "run": run,
            "sweep": sweep,
            "images": images,
            "validation": validation,
            "loader": loader,
        }
        super().__init__(state, **options)

    def source(self, state: ModelState) -> Examination:
        """Return what measures and judges."""
        self.examination = Examination(state, **self._given)
        return self.examination

    def controls(self) -> Sequence[Widget]:
        """Return the filter of the rules."""
        self._filter = choice(self, "rule", "Rule", [("all", "")], 250, said=_found_nothing)
        return [line(self._filter)]

    def figures(self) -> Sequence[Widget]:
        """Return the list, what is said of one finding, and what was checked."""
        self._list = FindingList(lambda: self.guarded(self.show_evidence))
        self._summary = Text(kind="quiet wrap", height="128px", overflow="auto")
        return [*self._list.parts, self._summary]

    def compute(self, selection: Selection) -> DiagnosisSoFar:
        """Return what is known; have the rest measured."""
        examination = self.examination
        # A sweep counts more images than what was measured here: findings are to say the same.
        swept = sum(each is not None for each in self.state.sweeps.all())
        if self.stopped:
            examination.stop()
        elif self._judged != (selection.revision, swept) or not _is_done(examination):
            self._judged = selection.revision, swept
            examination.start()
        report = examination.latest
        shown = tuple(each for each in report.findings if self.rule in ("", each.rule))
        return DiagnosisSoFar(report, shown, examination.progress, examination.is_running)

    def draw(self, result: DiagnosisSoFar) -> None:
        """Send the list and everything around it."""
        self.progress.show(
            _in_words(result, self.stopped, self.examination.problem),
            result.progress if result.goes_on else None,
            "Continue" if self.stopped else "Cancel",
        )
        self._filter.offer(_rules(result.report), self.rule)
        self._list.show(result.shown, _nothing(result))
        self._summary.show(_summary(result))
        self.say(_caption(result))

    def leave(self) -> None:
        """Have nothing more measured."""
        self.examination.stop()

    def draw_news(self, is_time: bool) -> bool:
        """Draw what is known, at once if that is all."""
        is_drawn = is_time or not self.examination.is_running
        if is_drawn:
            self.redraw()
        return is_drawn

    # -- what the user does -------------------------------------------------------------------

    @property
    def finding(self) -> Finding | None:
        """The finding that is looked at."""
        return self._list.finding

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings that are listed."""
        return self._list.findings

    @property
    def message(self) -> str:
        """What is said of the finding that is looked at, or where there is none."""
        return self._list.message

    @property
    def summary(self) -> str:
        """What was checked and is fine, and what could not be checked."""
        return self._summary.text

    def show_evidence(self) -> None:
        """Move the selection to the evidence of the finding, and tell who asked for it."""
        finding = self.finding
        if finding is not None:
            self.state.select(**finding.select)
            for callback in self._on_show:
                callback(finding)

    def on_show(
        self,
        callback: Callable[[Finding], None],
        has_place: Callable[[Finding], bool] = lambda _finding: False,
    ) -> None:
        """Call ``callback(finding)`` when its evidence is to be shown: by another view.

        A finding that says nothing to select can be shown where ``has_place(finding)``.
        """
        self._on_show.append(callback)
        self._list.leads.append(has_place)
        self._list.show_finding()

    def show_code(self) -> None:
        """Put the code of the finding into the field below it."""
        self._list.show_code()


class FindingList:
    """The findings as a list, and all that is said of the one that is looked at.

    Parameters
    ----------
    show
        Called by the button that leads to the evidence of the finding.

    Attributes
    ----------
    findings : those that are listed.
    leads : tell of a finding whether the button leads anywhere; one of them is enough.
    parts : what stands in the page, from top to bottom.
    """

    def __init__(self, show: Callable[[], Any]) -> None:
        self.leads: list[Callable[[Finding], bool]] = [lambda finding: bool(finding.select)]
        self.findings: tuple[Finding, ...] = ()
        self._nothing = ""
        self._filling = False
        findings = Select(rows=8, layout=Layout(width="562px", height="152px"))
        self._list = named(findings, "Findings")
        self._list.add_class("cvw-mono")
        self._list.observe(self._picked, names="index")
        self._message = Text(kind="wrap", height="104px", overflow="auto")
        self._facts = Text(kind="quiet")
        self._show = Button(description="Show me", layout=Layout(width="110px"))
        self._show.tooltip = "Move the clock, layer, channel and image to the evidence"
        self._code_button = Button(description="Show code", layout=Layout(width="110px"))
        self._code_button.tooltip = (
            "Put the lines that compute the number again into the field below"
        )
        self._show.on_click(lambda _button: show())
        self._code_button.on_click(lambda _button: self.show_code())
        code = Textarea(
            placeholder="lines that compute the number again, without the widget",
            layout=Layout(width="562px", height="150px"),
        )
        self._code = named(code, "Code of the finding")
        self._code.add_class("cvw-mono")
        buttons = line(self._show, self._code_button)
        self.parts = (self._list, self._message, self._facts, buttons, self._code)

    @property
    def finding(self) -> Finding | None:
        """The finding that is looked at."""
        index = self._list.index
        return None if index is None else next(iter(self.findings[index : index + 1]), None)

    @property
    def message(self) -> str:
        """What is said of it, or where there is none."""
        return self._message.text

    def show(self, findings: tuple[Finding, ...], nothing: str) -> None:
        """List these; ``nothing`` is said where none is looked at. The one that was, still is."""
        self._nothing = nothing
        if findings != self.findings:
            before = self.finding
            self.findings = findings
            self._filling = True
            try:
                list_options(self._list, [(_label(each), i) for i, each in enumerate(findings)])
                self._list.index = _place(before, findings)
            finally:
                self._filling = False
            self._code.value = ""
        self.show_finding()

    def show_code(self) -> None:
        """Put the code into the field to copy from: a kernel cannot reach the clipboard."""
        if self.finding is not None:
            self._code.value = self.finding.code

    def _picked(self, _change: Any) -> None:
        if not self._filling:
            self._code.value = ""
            self.show_finding()

    def show_finding(self) -> None:
        """Say what is said of the finding that is looked at, and enable what it has."""
        finding = self.finding
        self._show.disabled = finding is None or not any(leads(finding) for leads in self.leads)
        self._code_button.disabled = finding is None or not finding.code
        self._message.show(self._nothing if finding is None else finding.message)
        self._facts.show("" if finding is None else _facts(finding))


def _place(before: Finding | None, findings: Sequence[Finding]) -> int | None:
    """Return the place of a finding, or of one of the same; else of the first, if there is any."""
    if before in findings:
        return findings.index(before)
    same = [i for i, each in enumerate(findings) if before and _subject(each) == _subject(before)]
    return next(iter([*same, *range(len(findings))]), None)


def _subject(finding: Finding) -> tuple[str, str | None, int | None]:
    return finding.rule, finding.layer, finding.channel


def _is_done(examination: Examination) -> bool:
    is_over = examination.progress.complete or bool(examination.problem)
    return is_over or examination.is_running


def _found_nothing(rule: str) -> str:
    return f"{rule} (0)"


def _rules(report: Report) -> list[tuple[str, str]]:
    """Return the rules that have found something, and how often, as labels and values."""
    counts = Counter(each.rule for each in report.findings)
    return [("all", ""), *((f"{name} ({count})", name) for name, count in counts.items())]


def _label(finding: Finding) -> str:
    where = finding.layer or ""
    where += "" if finding.channel is None else f" channel {finding.channel}"
    step = _when(finding) or ""
    parts = [SIGNS[finding.severity].ljust(10), finding.rule.ljust(22), where, step]
    return "  ".join(part for part in parts if part)


def _when(finding: Finding) -> str | None:
    """Return when the evidence is from: "step 1,500", or what its checkpoint is called."""
    return finding.when or (None if finding.step is None else f"step {finding.step:,}")


def _facts(finding: Finding) -> str:
    parts = (
        ("measured {:.4g}", finding.value),
        ("threshold {:.4g}", finding.threshold),
        ("n = {:,}", finding.n),
        ("{}", _when(finding)),
    )
    return " · ".join(text.format(value) for text, value in parts if value is not None)


def _nothing(found: DiagnosisSoFar) -> str:
    """Return what is said where no finding is looked at."""
    if found.goes_on:
        return "Nothing abnormal so far."
    if found.progress.failed:
        failed = said_of_failures(found.progress)
        return f"Nothing abnormal was found in what could be measured; {failed}"
    return "Nothing abnormal was found; below is what was checked."


def _summary(found: DiagnosisSoFar) -> str:
    report = found.report
    fine = f"Checked and fine ({len(report.fine)}): {', '.join(report.fine) or 'none'}."
    unchecked = [(name, f"needs {need}") for name, need in report.unchecked]
    unchecked += [(name, f"could not be measured: {why}") for name, why in report.unmeasured]
    count = len(unchecked)
    if found.running:
        names = ", ".join(name for name, _ in unchecked)
        return f"{fine} Not checked yet ({count}): {names or 'none'}."
    by_reason: dict[str, list[str]] = {}
    for name, reason in unchecked:
        by_reason.setdefault(reason, []).append(name)
    missing = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
    return f"{fine} Not checked ({count}): {missing or 'none'}."


def _caption(found: DiagnosisSoFar) -> str:
    severities = [each.severity for each in found.report.findings]
    counts = [number_of(severities.count(each), each) for each in SIGNS]
    return f"{' · '.join(counts)} · a remark is worth knowing, and no alarm"


def _in_words(found: DiagnosisSoFar, stopped: bool, problem: str) -> str:
    progress = found.progress
    count = f"{progress.done} of {progress.total} parts measured"
    reasons = [problem] if problem else list(progress.failures[:1])
    reason = "".join(f" · {line}" for line in reasons)
    if stopped and not progress.complete:
        return f"cancelled: {count}"
    if found.running and not progress.complete:
        return f"measuring: {count}"
    return f"judging: {count}" if found.running else f"{count}{reason}"
