"""The error of a recording that cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convviz_widgets.checkpoints.names import on_one_line
from convviz_widgets.errors import CheckpointError, ConvVizError


class RecordError(ConvVizError):
    """A folder that cannot be recorded into: no space, no permission, another recorder in it.

    Examples
    --------
    >>> try:
    ...     cvw.Recorder(nn.Linear(2, 1), "/dev/null/run")
    ... except cvw.RecordError as error:
    ...     print(error)
    cannot record in '/dev/null/run': Not a directory
    """


@contextmanager
def one_line_errors(what: str, directory: Path) -> Iterator[None]:
    """Turn what goes wrong with a folder into a RecordError: what could not be done, where, why."""
    try:
        yield
    except (OSError, CheckpointError, RecordError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        line = f"cannot {what} in {str(directory)!r}: {reason or type(error).__name__}"
        raise RecordError(on_one_line(line)) from error
