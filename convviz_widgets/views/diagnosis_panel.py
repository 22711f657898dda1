"""DiagnosisPanel: what is abnormal in a run, and the way to the evidence."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, Unpack

from ipywidgets import Button, HBox, IntProgress, Layout, Select, Textarea, Widget
from traitlets import Bool, Unicode

from convviz_widgets.diagnosis import ERROR, REMARK, WARNING, Finding, Report
from convviz_widgets.record import Run
from convviz_widgets.state import Examination, ModelState, Progress, Selection
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.widgets import View
from convviz_widgets.widgets.controls import choice, line
from convviz_widgets.widgets.text import ACCENT, Text
from convviz_widgets.widgets.view import ViewOptions

REFRESH = 0.5
"""Seconds from one drawing to the next while something is measured."""

SIGNS = {ERROR: "✖ error", WARNING: "▲ warning", REMARK: "· remark"}


@dataclass(frozen=True)
class Chart:
    """What is known of the patient so far."""

    report: Report
    shown: tuple[Finding, ...]
    """The findings that the filter keeps."""
    progress: Progress
    running: bool


class DiagnosisPanelOptions(ViewOptions, total=False):
    """Options of `DiagnosisPanel`."""

    rule: str
    stopped: bool


class DiagnosisPanel(View):
    """List the findings of `convviz_widgets.diagnose`, the gravest first.

    What the rules need is measured in the background as long as the panel is visible; "Cancel"
    stops it, and the findings are those of what is there.

    Parameters
    ----------
    run, sweep, images, validation, loader
        As `convviz_widgets.diagnose` takes them.

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
    instant: ClassVar[bool] = True

    rule = Unicode("", help="Show the findings of this rule alone; empty: all.").tag(option=True)
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
        self._examination: Examination | None = None
        self._on_show: list[Callable[[Finding], None]] = []
        self._given = {
            "run": run,
            "sweep": sweep,
            "images": images,
            "validation": validation,
            "loader": loader,
        }
        super().__init__(state, **options)
        self.examination.observe(self._measured)
        self._measured()

    @property
    def examination(self) -> Examination:
        """What measures and judges."""
        if self._examination is None:
            self._examination = Examination(self.state, **self._given)
        return self._examination

    def build(self) -> Sequence[Widget]:
        """Return the filter, the line of progress, the list, and what is said of one finding."""
        self._told = 0.0
        self._findings: tuple[Finding, ...] = ()
        self._nothing = ""
        self._filling = False
        self._filter = choice(self, "rule", "Rule", [("all", "")], 250)
        self._list = Select(rows=8, layout=Layout(width="562px", height="152px"))
        self._list.tooltip = "Findings"
        self._list.add_class("cvw-mono")
        self._list.observe(self._picked, names="index")
        self._message = Text(kind="wrap", height="104px", overflow="auto")
        self._facts = Text(kind="quiet")
        self._code = Textarea(
            disabled=False,
            placeholder="lines that compute the number again, without the widget",
            layout=Layout(width="562px", height="150px"),
        )
        self._code.tooltip = "Code of the finding"
        self._code.add_class("cvw-mono")
        self._summary = Text(kind="quiet wrap", height="128px", overflow="auto")
        return [
            line(self._filter),
            self._progress_line(),
            self._list,
            self._message,
            self._facts,
            self._actions(),
            self._code,
            self._summary,
        ]

    def compute(self, selection: Selection) -> Chart:
        """Return what is known; have the rest measured."""
        examination = self.examination
        if self.stopped:
            examination.stop()
        elif selection.revision != self._judged or not self._is_done():
            self._judged = selection.revision
            examination.start()
        report = examination.latest
        shown = tuple(each for each in report.findings if self.rule in ("", each.rule))
        return Chart(report, shown, examination.progress, examination.is_running)

    _judged: int | None = None

    def draw(self, result: Chart) -> None:
        """Send the list and everything around it."""
        self._show_progress(result)
        self._fill(result)
        self._show_finding(result)
        self._summary.show(_summary(result))
        self.say(_caption(result))

    def close(self) -> None:
        """Have nothing more measured, and let go of every widget."""
        examination: Examination | None = getattr(self, "_examination", None)
        if examination is not None:  # a view that was refused has none
            examination.unobserve(self._measured)
            examination.stop()
        super().close()

    # -- parts --------------------------------------------------------------------------------

    def _progress_line(self) -> HBox:
        self._bar = IntProgress(
            layout=Layout(width="150px", height="14px", flex="0 0 auto", margin="0 8px 0 2px"),
            style={"bar_color": ACCENT},
        )
        self._count = Text(kind="quiet", flex="1 1 auto")
        self._button = Button(description="Cancel", layout=Layout(width="84px", height="24px"))
        self._button.on_click(lambda _button: self.set_trait("stopped", not self.stopped))
        still = Layout(height="28px", flex="0 0 auto", overflow="hidden", align_items="center")
        return HBox([self._bar, self._count, self._button], layout=still)

    def _actions(self) -> HBox:
        self._show = Button(description="Show me", layout=Layout(width="110px"))
        self._show.tooltip = "Move the clock, layer, channel and image to the evidence"
        self._copy = Button(description="Copy code", layout=Layout(width="110px"))
        self._copy.tooltip = "Put the lines that compute the number again into the field below"
        self._show.on_click(lambda _button: self.guarded(self.show_evidence))
        self._copy.on_click(lambda _button: self.copy_code())
        return line(self._show, self._copy)

    # -- draw ---------------------------------------------------------------------------------

    def _show_progress(self, chart: Chart) -> None:
        going = chart.running or not chart.progress.complete
        for part in (self._bar, self._button):
            part.layout.display = "" if going else "none"
        self._bar.max, self._bar.value = max(1, chart.progress.total), chart.progress.done
        self._button.description = "Continue" if self.stopped else "Cancel"
        self._count.show(_in_words(chart, self.stopped, self.examination.problem))

    def _fill(self, chart: Chart) -> None:
        counts = {each.rule: 0 for each in chart.report.findings}
        for each in chart.report.findings:
            counts[each.rule] += 1
        names = dict.fromkeys([*counts, *([self.rule] if self.rule else [])])
        options = [("all", ""), *((f"{name} ({counts.get(name, 0)})", name) for name in names)]
        if tuple(options) != self._filter.options:
            self._filter.options = options
            self._filter.value = self.rule
        if chart.shown == self._findings:
            return
        before = self.finding
        self._findings = chart.shown
        place = chart.shown.index(before) if before in chart.shown else 0
        self._filling = True
        try:
            self._list.options = [(_label(each), i) for i, each in enumerate(chart.shown)]
            self._list.index = place if chart.shown else None
        finally:
            self._filling = False
        self._code.value = ""

    def _show_finding(self, chart: Chart | None = None) -> None:
        finding = self.finding
        if chart is not None:
            self._nothing = _nothing(chart)
        for button, usable in (
            (self._show, finding is not None and bool(finding.select)),
            (self._copy, finding is not None and bool(finding.code)),
        ):
            button.disabled = not usable
        self._message.show(self._nothing if finding is None else finding.message)
        self._facts.show("" if finding is None else _facts(finding))

    # -- what the user does -------------------------------------------------------------------

    @property
    def finding(self) -> Finding | None:
        """The finding that is looked at."""
        index = self._list.index
        if index is None or not 0 <= index < len(self._findings):
            return None
        return self._findings[index]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those that are listed."""
        return self._findings

    @property
    def message(self) -> str:
        """What is said of the finding that is looked at, or where there is none."""
        return html.unescape(self._message.value)

    @property
    def summary(self) -> str:
        """What was checked and is fine, and what could not be checked."""
        return html.unescape(self._summary.value)

    def show_evidence(self) -> None:
        """Move the selection to the evidence of the finding, and tell who asked for it."""
        finding = self.finding
        if finding is not None:
            self.state.select(**finding.select)
            for callback in self._on_show:
                callback(finding)

    def on_show(self, callback: Callable[[Finding], None]) -> None:
        """Call ``callback(finding)`` when its evidence is to be shown: by another view."""
        self._on_show.append(callback)

    def copy_code(self) -> None:
        """Put the code into the field to copy from: a kernel cannot reach the clipboard."""
        if self.finding is not None:
            self._code.value = self.finding.code

    def _picked(self, _change: Any) -> None:
        if not self._filling:
            self._code.value = ""
            self._show_finding()

    def _is_done(self) -> bool:
        examination = self.examination
        is_over = examination.progress.complete or bool(examination.problem)
        return is_over or examination.is_running

    def _measured(self) -> None:
        """Draw what is new, called by the thread that measures."""
        if not self.awake:
            return
        is_time = not self.examination.is_running or perf_counter() - self._told > REFRESH
        if is_time:
            self._told = perf_counter()
            self.redraw()

    def _shown(self, change: Any) -> None:
        if not self.awake:
            self.examination.stop()
        else:
            self._drawn = None  # it may have gone on, or been left half done
        super()._shown(change)


def _label(finding: Finding) -> str:
    where = finding.layer or ""
    where += "" if finding.channel is None else f" channel {finding.channel}"
    step = "" if finding.step is None else f"step {finding.step:,}"
    parts = [SIGNS[finding.severity].ljust(10), finding.rule.ljust(22), where, step]
    return "  ".join(part for part in parts if part)


def _facts(finding: Finding) -> str:
    parts = []
    if finding.value is not None:
        parts.append(f"measured {finding.value:.4g}")
    if finding.threshold is not None:
        parts.append(f"threshold {finding.threshold:.4g}")
    if finding.n is not None:
        parts.append(f"n = {finding.n:,}")
    if finding.step is not None:
        parts.append(f"step {finding.step:,}")
    return " · ".join(parts)


def _nothing(chart: Chart) -> str:
    """Return what is said where no finding is looked at."""
    if chart.running or not chart.progress.complete:
        return "Nothing abnormal so far."
    return "Nothing abnormal was found; below is what was checked."


def _summary(chart: Chart) -> str:
    report = chart.report
    fine = f"Checked and fine ({len(report.fine)}): {', '.join(report.fine) or 'none'}."
    count = len(report.unchecked)
    if chart.running:
        names = ", ".join(name for name, _ in report.unchecked)
        return f"{fine} Not checked yet ({count}): {names or 'none'}."
    by_need: dict[str, list[str]] = {}
    for name, need in report.unchecked:
        by_need.setdefault(need, []).append(name)
    missing = "; ".join(f"{', '.join(names)}: needs {need}" for need, names in by_need.items())
    return f"{fine} Not checked ({count}): {missing or 'none'}."


def _caption(chart: Chart) -> str:
    found = [each.severity for each in chart.report.findings]
    counts = [f"{(n := found.count(each))} {each}{'s' * (n != 1)}" for each in SIGNS]
    return f"{' · '.join(counts)} · a remark is worth knowing, and no alarm"


def _in_words(chart: Chart, stopped: bool, problem: str) -> str:
    progress = chart.progress
    count = f"{progress.done} of {progress.total} parts measured"
    reasons = [problem] if problem else list(progress.failures[:1])
    reason = "".join(f" · {line}" for line in reasons)
    if stopped and not progress.complete:
        return f"cancelled: {count}"
    if chart.running and not progress.complete:
        return f"measuring: {count}"
    return f"judging: {count}" if chart.running else f"{count}{reason}"
