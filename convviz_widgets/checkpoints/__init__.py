"""Checkpoint files: a reader for what strangers wrote, an atomic writer, the series of a run."""

from convviz_widgets.checkpoints.names import step_of
from convviz_widgets.checkpoints.reader import read_checkpoint
from convviz_widgets.checkpoints.series import CheckpointSeries
from convviz_widgets.checkpoints.writer import write_checkpoint

__all__ = ["CheckpointSeries", "read_checkpoint", "step_of", "write_checkpoint"]
