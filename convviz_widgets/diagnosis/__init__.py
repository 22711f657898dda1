"""What is abnormal in a run: measurements in, findings with their evidence out; runs no model."""

from convviz_widgets.diagnosis.curve import Curve
from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import ERROR, REMARK, SEVERITIES, WARNING, Finding
from convviz_widgets.diagnosis.measurements import (
    Answered,
    FilterNoise,
    Firing,
    GradientDepth,
    RunCurves,
    TensorFacts,
)
from convviz_widgets.diagnosis.report import Report, examine
from convviz_widgets.diagnosis.rulebook import RULES
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
    "RunCurves",
    "TensorFacts",
    "examine",
    "has_update_ratios",
    "run_curves",
]
