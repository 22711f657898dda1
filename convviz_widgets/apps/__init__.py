"""Explorer, explore and Comparison: views put together, and where "show me" leads among them."""

from convviz_widgets.apps.comparison import Comparison
from convviz_widgets.apps.explore import explore
from convviz_widgets.apps.explorer import Explorer

__all__ = [
    "Comparison",
    "Explorer",
    "explore",
]
