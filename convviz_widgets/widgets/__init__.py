"""What views are made of: the view itself, text, controls, pictures and plots."""

from convviz_widgets.widgets.view import View, close_views
from convviz_widgets.widgets.widget_tree import close_tree, listen, widget_tree

__all__ = [
    "View",
    "close_tree",
    "close_views",
    "listen",
    "widget_tree",
]
