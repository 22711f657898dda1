"""Checkpoint files: a reader for what strangers wrote, an atomic writer, the series of a run."""

from convviz_widgets.checkpoints.bounds import ReadLimits
from convviz_widgets.checkpoints.name_times import time_in_name
from convviz_widgets.checkpoints.reader import read_checkpoint
from convviz_widgets.checkpoints.series import CheckpointSeries
from convviz_widgets.checkpoints.state_dicts import find_state_dict, strip_prefixes
from convviz_widgets.checkpoints.steps import (
    Steps,
    apart_in_words,
    has_number,
    label_at,
    noun_of,
    number_at,
    unit_of,
)
from convviz_widgets.checkpoints.training_time import TrainingTime
from convviz_widgets.checkpoints.writer import (
    checkpoint_digest,
    sweep_temporaries,
    write_checkpoint,
)

__all__ = [
    "CheckpointSeries",
    "ReadLimits",
    "Steps",
    "TrainingTime",
    "apart_in_words",
    "checkpoint_digest",
    "find_state_dict",
    "has_number",
    "label_at",
    "noun_of",
    "number_at",
    "read_checkpoint",
    "strip_prefixes",
    "sweep_temporaries",
    "time_in_name",
    "unit_of",
    "write_checkpoint",
]
