"""What is selected, and the one state that every control and view shares."""

from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.diagnosing import diagnose
from convviz_widgets.state.drawing import Drawing, Shown, image_of
from convviz_widgets.state.examination import Examination
from convviz_widgets.state.history import History, Progress, coarse_to_fine
from convviz_widgets.state.job import ACTIVATIONS, FILTERS, GRADIENTS, PARAMETERS, UPDATES
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.state.output_history import OutputHistory, Question
from convviz_widgets.state.resolve import channel_count
from convviz_widgets.state.selection import Selection
from convviz_widgets.state.sweeper import Direction
from convviz_widgets.state.sweeps import Sweeps
from convviz_widgets.state.ticker import Ticker

__all__ = [
    "ACTIVATIONS",
    "FILTERS",
    "GRADIENTS",
    "PARAMETERS",
    "UPDATES",
    "ByteCache",
    "Direction",
    "Drawing",
    "Examination",
    "History",
    "ModelState",
    "OutputHistory",
    "Progress",
    "Question",
    "Selection",
    "Shown",
    "Sweeps",
    "Ticker",
    "channel_count",
    "coarse_to_fine",
    "diagnose",
    "image_of",
]
