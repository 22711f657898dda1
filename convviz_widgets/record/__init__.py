"""A training run on disk: recorded while it is trained, read while it grows."""

from convviz_widgets.errors import RecordError
from convviz_widgets.record.pairing import Pair, paired
from convviz_widgets.record.recorder import Recorder
from convviz_widgets.record.run import Run
from convviz_widgets.record.series import AXES, Series

__all__ = [
    "AXES",
    "Pair",
    "RecordError",
    "Recorder",
    "Run",
    "Series",
    "paired",
]
