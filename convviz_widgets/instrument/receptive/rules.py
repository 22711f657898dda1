"""Which operation of torch follows which rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from convviz_widgets.instrument.receptive import mixing, moving, sliding
from convviz_widgets.instrument.receptive.field import Field

Rule = Callable[[Field, Any, tuple[Any, ...]], Field | list[Field]]
"""(field of the first argument, result, all arguments) → field of the result, or of each."""

_ATEN: dict[Rule, str] = {
    sliding.convolution: "convolution",
    sliding.pool: (
        "max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d"
    ),
    sliding.adaptive_pool: (
        "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d"
    ),
    sliding.nearest: "upsample_nearest1d upsample_nearest2d upsample_nearest3d",
    sliding.linear: "upsample_linear1d upsample_bilinear2d upsample_trilinear3d",
    sliding.cubic: "upsample_bicubic2d",
    sliding.padded: "constant_pad_nd",
    sliding.reflected: "reflection_pad1d reflection_pad2d reflection_pad3d",
    sliding.replicated: "replication_pad1d replication_pad2d replication_pad3d",
    mixing.reduction: "mean sum amax amin max min prod var std logsumexp",
    mixing.along_given: "_softmax _log_softmax cumsum",
    mixing.layer_norm: "native_layer_norm",
    mixing.all_positions: "native_group_norm _batch_norm_with_update",
    mixing.batch_norm: (
        "native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit"
        " _native_batch_norm_legit_no_training _batch_norm_no_update"
    ),
    moving.same: "clone detach alias contiguous _to_copy lift_fresh",
    moving.expand: "expand",
    moving.view: "view _unsafe_view reshape unsqueeze squeeze",
    moving.permute: "permute",
    moving.transpose: "transpose t",
    moving.cut: "slice",
    moving.pieces: "split split_with_sizes",
    moving.select: "select",
    moving.unbind: "unbind",
    moving.flip: "flip",
}

RULES: dict[Any, Rule] = {
    getattr(torch.ops.aten, name): rule
    for rule, names in _ATEN.items()
    for name in names.split()
    if hasattr(torch.ops.aten, name)
}
"""Operation that autograd runs → rule. What is neither here nor elementwise sees everything."""

FUNCTIONS: dict[Any, Rule] = {
    F.linear: mixing.matrix,
    torch.pixel_shuffle: sliding.pixel_shuffle,
    torch.pixel_unshuffle: sliding.pixel_unshuffle,
}
"""Functions that come apart, before autograd runs them, into views that lose an axis."""
