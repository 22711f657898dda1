"""Names of classes, of those that have none too."""

from __future__ import annotations

from convviz_widgets.instrument import ImageSet


def class_name(images: ImageSet, index: int) -> str:
    """Return what a class is called: by its name, else by its number."""
    names = images.class_names
    return names[index] if names and index < len(names) else f"class {index}"
