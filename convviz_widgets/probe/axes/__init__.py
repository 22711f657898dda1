"""Which axis is the channel: what the dimensions of each layer's tensors are, and how to turn them.

`tracer` follows a pass, by the rules of `moves` and `channels`; `axis` is what it writes down of a
tensor, and `arrangement` how such a tensor is handed over with its channels first.
"""

from convviz_widgets.probe.axes.arrangement import Arrangement, arranged
from convviz_widgets.probe.axes.tracer import AxisTracer

__all__ = ["Arrangement", "AxisTracer", "arranged"]
