"""Where the recording in a folder ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convviz_widgets.record.event_folder import event_files
from convviz_widgets.record.event_log import SOURCE
from convviz_widgets.record.record_stream import RecordStream


def last_recorded_step(directory: Path) -> int | None:
    """Return the step of the last whole record that a recorder left, or None.

    Event files that others wrote to the folder do not count: their steps may be epochs or samples.
    """
    for path in reversed(event_files(directory)):
        first, last = _first_and_last(path)
        if first is not None and first.source_metadata.writer == SOURCE:
            if last.HasField("session_log"):  # says from which step on earlier files are void
                return last.step - 1
            if last.HasField("summary"):
                return last.step
    return None


def _first_and_last(path: Path) -> tuple[Any, Any]:
    """Return the first and the last event of a file; None for both when it has none."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    ends: list[bytes] = []
    for payloads in RecordStream(path).parts():
        if payloads:
            ends = [*ends[:1], payloads[0]][:1] + payloads[-1:]
    try:
        return (Event.FromString(ends[0]), Event.FromString(ends[-1])) if ends else (None, None)
    except DecodeError:
        return None, None
