"""What views are made of: the view itself, text, controls, pictures and plots."""

from convviz_widgets.widgets.view import View, close_tree, listen, widget_tree

__all__ = [
    "View",
    "close_tree",
    "listen",
    "widget_tree",
]
