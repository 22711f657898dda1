"""What is abnormal in a run: measurements in, findings with their evidence out; runs no model."""

from convviz_widgets.diagnosis.evidence import (
    AnswersAt,
    Evidence,
    FiltersAt,
    Firing,
    GradientDepth,
    Metric,
    Moment,
    RunCurves,
    TensorFacts,
    UpdateCurve,
)
from convviz_widgets.diagnosis.finding import ERROR, REMARK, WARNING, Finding
from convviz_widgets.diagnosis.report import RULES, Report, examine
from convviz_widgets.diagnosis.run_curves import has_update_ratios, run_curves

__all__ = [
    "ERROR",
    "REMARK",
    "RULES",
    "WARNING",
    "AnswersAt",
    "Evidence",
    "FiltersAt",
    "Finding",
    "Firing",
    "GradientDepth",
    "Metric",
    "Moment",
    "Report",
    "RunCurves",
    "TensorFacts",
    "UpdateCurve",
    "examine",
    "has_update_ratios",
    "run_curves",
]
