"""The zoo: over forty architectures of timm, looked into layer by layer, checked from outside.

    make zoo                          all of them, a few minutes
    python tests/field/zoo.py NAME    some

Of every layer that is a module the channels, as shown, are compared with its own weight and with
the weight of the layer that takes its output; its values with those that a forward hook on a copy
of the model sees, the axis moved by hand. None of that uses what the package found out. The
weights are random, the images 32 to 96 pixels wide wherever the model takes them.
"""

from __future__ import annotations

import copy
import hashlib
import re
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import torch
from torch import Tensor, nn

import convviz_widgets as cvw

ZOO = {
    "resnet18": 64,
    "resnetv2_50": 64,
    "wide_resnet50_2": 64,
    "res2net50_14w_8s": 64,
    "resnest14d": 64,
    "skresnet18": 64,
    "convnext_atto": 64,
    "convnextv2_atto": 64,
    "swin_tiny_patch4_window7_224": 64,
    "swinv2_tiny_window8_256": 64,
    "vit_tiny_patch16_224": 64,
    "vit_small_patch14_reg4_dinov2": 56,
    "deit_tiny_distilled_patch16_224": 64,
    "beit_base_patch16_224": 64,
    "eva02_tiny_patch14_224": 56,
    "mixer_s32_224": 64,
    "gmlp_ti16_224": 64,
    "resmlp_12_224": 64,
    "cait_xxs24_224": 64,
    "xcit_nano_12_p16_224": 64,
    "coatnet_nano_rw_224": 64,
    "coat_lite_tiny": 64,
    "maxvit_rmlp_pico_rw_256": 64,
    "pvt_v2_b0": 64,
    "twins_svt_small": 64,
    "levit_128s": 64,
    "poolformer_s12": 64,
    "convmixer_768_32": 64,
    "focalnet_tiny_srf": 64,
    "davit_tiny": 64,
    "mobilevit_xxs": 64,
    "edgenext_xx_small": 64,
    "efficientnet_b0": 64,
    "regnetx_002": 64,
    "densenet121": 64,
    "inception_v3": 96,
    "xception41": 64,
    "mobilenetv2_100": 64,
    "mobilenetv3_small_050": 64,
    "ghostnet_100": 64,
    "nfnet_l0": 64,
    "hrnet_w18_small": 64,
    "dla34": 64,
    "vgg11": 64,
    "sequencer2d_s": 64,
}
"""Architecture → the width of its images in pixels."""


def main(names: list[str]) -> int:
    """Look into the architectures named, or all; return 1 if one is not as it should be."""
    timm = _timm()
    broken = 0
    print(f"{'architecture':34}{'layers':>7}{'shown':>7}{'checked':>8}{'s':>6}  not shown")
    for name in names or ZOO:
        size = ZOO.get(name, 64)
        model = _made(timm, name, size).eval()
        torch.manual_seed(1)
        started = time.perf_counter()
        problems, shown, checked = look_into(model, torch.rand(2, 3, size, size))
        seconds = time.perf_counter() - started
        hidden = Counter(info.kind for info in shown if info.channel_axis is None)
        count = len(shown) - sum(hidden.values())
        kinds = ", ".join(f"{kind} {n}" for kind, n in hidden.most_common())
        print(f"{name:34}{len(shown):7}{count:7}{checked:8}{seconds:6.1f}  {kinds}", flush=True)
        for line in problems:
            print(f"    {line}")
        broken += bool(problems)
    print(f"{broken} of {len(names or ZOO)} are not as they should be")
    return int(broken > 0)


def look_into(model: nn.Module, images: Tensor) -> tuple[list[str], tuple[cvw.LayerInfo, ...], int]:
    """Return what is wrong with what is shown of a model, its layers, and how many were checked."""
    before = digest(model)
    calls = recorded(copy.deepcopy(model), images[:1])
    state = cvw.ModelState(model, images, memory_budget=4 * 2**30)
    problems: list[str] = []
    checked = 0
    for info in state.layers:
        call = calls.get(info.name)
        if call is None or info.channel_axis is None:
            continue
        checked += 1
        shown = state.activation(info.name)
        if tuple(shown.shape) != info.shape:
            problems.append(f"{info.name}: {tuple(shown.shape)} shown, {info.shape} said")
        problems += [f"{info.name} ({info.kind}): {line}" for line in _wrong(call, info, shown)]
    state.close()
    if digest(model) != before:
        problems.append("the model has changed")
    return problems, state.layers, checked


class RecordedCall:
    """One call of a module: what it put out, and which modules took that as it was."""

    def __init__(self, module: nn.Module, output: Tensor) -> None:
        self.module, self.output = module, output.clone()
        self.takers: list[nn.Module] = []


def recorded(model: nn.Module, images: Tensor) -> dict[str, RecordedCall]:
    """Return layer → its call, by forward hooks on the model: the first of each is the module's."""
    calls: dict[str, RecordedCall] = {}
    made: dict[int, RecordedCall] = {}
    alive: list[Tensor] = []
    count: defaultdict[str, int] = defaultdict(int)

    def take(module: nn.Module, args: tuple[object, ...]) -> None:
        given = args[0] if args else None
        if isinstance(given, Tensor) and id(given) in made:
            made[id(given)].takers.append(module)

    def keep(name: str, module: nn.Module, output: object) -> None:
        first = output[0] if isinstance(output, tuple | list) else output
        if not isinstance(first, Tensor):
            return
        layer = f"{name}_{count[name]}" if count[name] else name
        count[name] += 1
        alive.append(first)
        calls[layer] = RecordedCall(module, first)
        made.setdefault(id(first), calls[layer])

    for name, module in model.named_modules():
        if name:
            module.register_forward_pre_hook(take)
            module.register_forward_hook(lambda m, _, out, name=name: keep(name, m, out))
    with torch.no_grad():
        model(images)
    return calls


def _wrong(call: RecordedCall, info: cvw.LayerInfo, shown: Tensor) -> list[str]:
    """Say what is wrong with one layer as it is shown: (C, ...)."""
    wrong = []
    channels = shown.shape[0]
    if (own := channels_out(call.module)) not in (None, channels):
        wrong.append(f"{channels} channels shown, its weight has {own}")
    for taker in call.takers:
        if (taken := channels_in(taker)) not in (None, channels) and call.output.ndim > 2:
            wrong.append(f"{channels} channels shown, {type(taker).__name__} takes {taken}")
    expected = by_hand(call.output, info)
    if expected is None:
        same = _positions(shown) == _positions(call.output.movedim(info.channel_axis or 1, 0))
    else:
        same = torch.equal(shown, expected)
    return wrong if same else [*wrong, "the values are others"]


def by_hand(output: Tensor, info: cvw.LayerInfo) -> Tensor | None:
    """Return an output (1, ...) as (C, ...); None where it was taken apart into windows."""
    axis = info.channel_axis
    if axis == 1 and len(output) == 1:
        return output[0] if output.shape[1] == info.shape[0] else None
    if len(output) != 1 or output.shape[-1] != info.shape[0]:
        return None
    moved = output[0].movedim(-1, 0)
    if moved.shape == info.shape:
        return moved
    if moved.ndim != 2:
        return None
    kept = moved[:, info.prefix_tokens :]
    return kept.reshape(info.shape) if kept.numel() == torch.Size(info.shape).numel() else None


def _positions(maps: Tensor) -> Counter[tuple[float, ...]]:
    """Return how often each position's values occur, wherever it stands."""
    return Counter(map(tuple, maps.flatten(1).T.tolist()))


def channels_out(module: nn.Module) -> int | None:
    """Return the number of channels that a module's weight says it puts out."""
    for attribute in ("out_channels", "out_features", "num_features", "num_channels"):
        if isinstance(found := getattr(module, attribute, None), int) and not list(
            module.children()
        ):
            return found
    return _normalised(module)


def channels_in(module: nn.Module) -> int | None:
    """Return the number of channels that a module's weight says it takes."""
    if list(module.children()):
        return None
    for attribute in ("in_channels", "in_features", "num_features", "num_channels"):
        if isinstance(found := getattr(module, attribute, None), int):
            return found
    return _normalised(module)


def _normalised(module: nn.Module) -> int | None:
    shape = getattr(module, "normalized_shape", ())
    return shape[0] if isinstance(shape, tuple) and len(shape) == 1 else None


def digest(model: nn.Module) -> str:
    """Return a digest of all that a model has: weights, buffers, modes, hooks, gradients."""
    sha = hashlib.sha256()
    for name, tensor in model.state_dict(keep_vars=True).items():
        sha.update(f"{name} {tensor.requires_grad} {tensor.grad is None}".encode())
        sha.update(tensor.detach().flatten().view(torch.uint8).numpy().tobytes())
    for name, module in model.named_modules():
        hooks = [len(value) for key, value in vars(module).items() if key.endswith("_hooks")]
        sha.update(f"{name} {module.training} {hooks}".encode())
    return sha.hexdigest()


def _made(timm: object, name: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    create = timm.create_model  # type: ignore[attr-defined]
    try:
        return create(name, pretrained=False, img_size=size)
    except TypeError:  # it takes images of any size
        return create(name, pretrained=False)


def _timm() -> object:
    """Import timm; its torchvision may be built for another torch, whose operators none here run.

    PyPI's torchvision goes with the torch for CUDA. Beside the one for CPUs its library does not
    load, and its import asks for the operators by name.
    """
    warnings.filterwarnings("ignore")
    try:
        import timm
    except RuntimeError as error:
        if "torchvision" not in str(error):
            raise
        _declare_operators()
        import timm
    return timm


def _declare_operators() -> None:
    import importlib.util

    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    found = importlib.util.find_spec("torchvision")
    where = Path(str(found.origin)).parent  # type: ignore[union-attr]
    text = (where / "_meta_registrations.py").read_text()
    for name in {*re.findall(r'"(?:torchvision::)?(\w+)"', text)} - {"Meta", "torchvision"}:
        torch.library.define(f"torchvision::{name}", "(Tensor x) -> Tensor")


if __name__ == "__main__":
    torch.set_num_threads(2)
    sys.exit(main(sys.argv[1:]))
