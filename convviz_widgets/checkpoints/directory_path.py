"""The path of a directory as the user gives it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from convviz_widgets.errors import InputError


def absolute(directory: Any) -> Path:
    """Return the directory's absolute path: the working directory may change.

    Parameters
    ----------
    directory
        A str or path; a leading ``~`` is the user's home.

    Raises
    ------
    InputError
        For anything else.
    """
    if not isinstance(directory, str | os.PathLike):
        raise InputError(f"expected the path of a directory, got {type(directory).__name__}")
    return Path(os.path.expanduser(directory)).absolute()
