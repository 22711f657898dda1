"""The error of a recording that cannot go on."""

from __future__ import annotations

from convviz_widgets.errors import ConvVizError


class RecordError(ConvVizError):
    """A folder that cannot be recorded into: no space, no permission, another recorder in it."""
