"""ModelState, which all controls and views share: what is selected, recorded and measured.

A state has two threads at most, and none while there is nothing to do: that of its background, and
while somebody paints on a sketchpad that of its ticker, which must not wait for a batch.
"""

from convviz_widgets.checkpoints import Steps, label_at, number_at, unit_of
from convviz_widgets.state.background import Background
from convviz_widgets.state.duplicate_search import DuplicateSearch
from convviz_widgets.state.examination import Examination, diagnose
from convviz_widgets.state.history import coarse_to_fine
from convviz_widgets.state.log_steps import LogSteps, log_steps
from convviz_widgets.state.measurements import (
    ACTIVATIONS,
    FILTERS,
    GRADIENTS,
    IMAGE_SET,
    PARAMETERS,
    UPDATES,
)
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.output_history import Question
from convviz_widgets.state.recordings import ByteCache
from convviz_widgets.state.selection import Drawing, Selection, Shown, channel_count, image_of
from convviz_widgets.state.sweeps import Direction, Sweeps
from convviz_widgets.state.task import Progress
from convviz_widgets.state.ticker import Ticker

__all__ = [
    "ACTIVATIONS",
    "FILTERS",
    "GRADIENTS",
    "IMAGE_SET",
    "PARAMETERS",
    "UPDATES",
    "Background",
    "ByteCache",
    "Direction",
    "Drawing",
    "DuplicateSearch",
    "Examination",
    "LogSteps",
    "ModelState",
    "Progress",
    "Question",
    "Selection",
    "Shown",
    "Steps",
    "Sweeps",
    "Ticker",
    "channel_count",
    "coarse_to_fine",
    "diagnose",
    "image_of",
    "label_at",
    "log_steps",
    "number_at",
    "unit_of",
]
