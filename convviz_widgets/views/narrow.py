"""A view made narrower than it would be alone, to lie beside another."""

from __future__ import annotations

from typing import Any, TypeVar

from convviz_widgets.views.base import View

AnyView = TypeVar("AnyView", bound=View)


def narrowed(kind: type[AnyView], width: int) -> type[AnyView]:
    """Return the view's class at most ``width`` CSS pixels wide, where it can be made so.

    A mosaic then breaks into more rows, an axis has fewer pixels.
    """
    if not kind.narrows or kind.width <= width:
        return kind
    sizes: dict[str, Any] = {"width": width}
    if frame := getattr(kind, "frame", None):
        sizes["frame"] = (min(frame[0], width), frame[1])
    return type(kind.__name__, (kind,), sizes)
