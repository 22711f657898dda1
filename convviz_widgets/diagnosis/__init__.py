"""What is abnormal in a run: measurements in, findings with their evidence out; runs no model."""

from convviz_widgets.diagnosis.evidence import (
    Answered,
    Curve,
    Evidence,
    FilterNoise,
    Firing,
    GradientDepth,
    RunCurves,
    TensorFacts,
)
from convviz_widgets.diagnosis.finding import ERROR, REMARK, SEVERITIES, WARNING, Finding
from convviz_widgets.diagnosis.report import RULES, Report, examine
from convviz_widgets.diagnosis.rule import Rule
from convviz_widgets.diagnosis.run_curves import has_update_ratios, run_curves

__all__ = [
    "ERROR",
    "REMARK",
    "RULES",
    "SEVERITIES",
    "WARNING",
    "Answered",
    "Curve",
    "Evidence",
    "FilterNoise",
    "Finding",
    "Firing",
    "GradientDepth",
    "Report",
    "Rule",
    "RunCurves",
    "TensorFacts",
    "examine",
    "has_update_ratios",
    "run_curves",
]
