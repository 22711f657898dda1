"""What stands for an object of a class that is not ours to make."""

from __future__ import annotations

from dataclasses import dataclass

from convviz_widgets.errors import CheckpointError

ADVICE = (
    "only tensors and plain data are read: torch.save(model.state_dict(), path) writes such a file"
)


@dataclass(frozen=True)
class Foreign:
    """An object in a file, known by the name of what would make it: ``argparse.Namespace``."""

    name: str


class ForeignError(CheckpointError):
    """A file that needs a Python object which is neither tensor nor plain data."""

    def __init__(self, name: str, entry: str = "") -> None:
        place = f" for its entry {entry[:80]!r}" if entry else ""
        self.name = name
        super().__init__(f"needs the Python object {name[:80]!r}{place}; {ADVICE}")
