"""Code: the lines that compute the value of a finding again, from what was diagnosed.

They take ``state``, ``run``, ``images``, ``training``, ``validation`` and ``loader`` as they were
given, and leave the number in ``value``.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

DUPLICATES = """\
from convviz_widgets.instrument import find_duplicates

value = find_duplicates(training).surplus"""

LEAK = """\
from convviz_widgets.instrument import find_leak

value = find_leak(training, validation).shared"""


def jump_code(loss: str, first: int, last: int, lasting: int, window: int, floor: float) -> str:
    """Return the lines for `loss_jump`, whose windows begin at points ``first`` to ``last``."""
    return _lines(
        f"""
        import numpy as np
        from convviz_widgets.tensors import smooth

        loss = run.metrics[{loss!r}].values
        loss = loss[np.isfinite(loss)]
        smoothed = smooth(loss, 0.9)
        heights = []
        for start in range({first}, {last} + 1):
            lowest = smoothed[:start].min()
            before = (loss - smoothed)[max(0, start - {window}) : start]
            sigma = 1.4826 * np.median(abs(before - np.median(before)))
            rise = smoothed[start : start + {lasting}].min() - lowest
            heights.append(rise / max(sigma, {floor!r} * abs(lowest)))
        value = max(heights)
        """
    )


def surge_code(loss: str, places: Sequence[int], window: int, floor: float) -> str:
    """Return the lines for `loss_surge`, at some of the loss's positive points."""
    return _lines(
        f"""
        import numpy as np

        loss = run.metrics[{loss!r}].values
        logs = np.log(loss[np.isfinite(loss) & (loss > 0)])
        heights = []
        for place in {[int(place) for place in places]}:
            before = logs[max(0, place - {window}) : place]
            sigma = 1.4826 * np.median(abs(before - np.median(before)))
            heights.append((logs[place] - np.median(before)) / max(sigma, {floor!r}))
        value = max(heights)
        """
    )


def slow_code(loss: str, start: float) -> str:
    """Return the lines for `slow_learning`."""
    return _lines(
        f"""
        import numpy as np
        from convviz_widgets.tensors import smooth

        loss = run.metrics[{loss!r}].values
        value = smooth(loss[np.isfinite(loss)], 0.9)[-1] / {start!r}
        """
    )


def gap_code(training: str, validation: str, last: int, evaluations: int) -> str:
    """Return the lines for `overfit`: the gap over the evaluations up to number ``last``."""
    return _lines(
        f"""
        import numpy as np

        training, held = run.metrics[{training!r}], run.metrics[{validation!r}]
        gaps, start = [], -1
        for step, accuracy in zip(held.steps, held.values):
            since = training.values[(training.steps > start) & (training.steps <= step)]
            gaps.append(since.mean() - accuracy)
            start = step
        value = np.mean(gaps[{last} - {evaluations} + 1 : {last} + 1])
        """
    )


def ratio_code(metric: str, statistic: str, count: int) -> str:
    """Return the lines for `update_ratio`: of the first ``count`` finite points."""
    return _lines(
        f"""
        import numpy as np

        ratios = run.metrics[{metric!r}].values
        value = np.{statistic}(ratios[np.isfinite(ratios)][:{count}])
        """
    )


def checkpoint_ratio_code(layer: str, statistic: str, count: int) -> str:
    """Return the lines for updates between checkpoints, of the first ``count`` pairs."""
    return _lines(
        f"""
        import numpy as np

        weights = []
        for checkpoint in range({count} + 1):
            state.select(checkpoint=checkpoint)
            weights.append(state.weight({layer!r}).double())
        moved = [((b - a).norm() / a.norm()).item() for a, b in zip(weights, weights[1:])]
        value = np.{statistic}(moved / np.diff(state.steps[: {count} + 1]))
        """
    )


def leap_code(norm: str, place: int, window: int) -> str:
    """Return the lines for the total gradient norm at a point against its running median.

    ``norm`` is what the names of its parts begin with.
    """
    return _lines(
        f"""
        import numpy as np

        parts = [each.values for name, each in run.metrics.items() if name.startswith({norm!r})]
        norm = np.sqrt(sum(part**2 for part in parts))
        norm = norm[np.isfinite(norm)]
        value = norm[{place}] / np.median(norm[max(0, {place} - {window}) : {place}])
        """
    )


def non_finite_code(metric: str) -> str:
    """Return the lines for the first step at which a metric is no number."""
    return _lines(
        f"""
        import numpy as np

        metric = run.metrics[{metric!r}]
        value = metric.steps[~np.isfinite(metric.values)][0]
        """
    )


def non_finite_tensor_code(layer: str, what: str, step: int) -> str:
    """Return the lines for the step at which a layer's weights or outputs are no numbers."""
    getter = {"weights": "weight", "biases": "bias"}.get(what, "activation")
    return _lines(
        f"""
        state.select(checkpoint=state.steps.index({step}))
        value = {step} if not state.{getter}({layer!r}).isfinite().all() else None
        """
    )


def slope_code(step: int, layers: Sequence[str]) -> str:
    """Return the lines for the slope of the gradients over depth."""
    return _lines(
        f"""
        import numpy as np

        state.select(checkpoint=state.steps.index({step}))
        layers = {list(layers)!r}
        norms = np.array([state.gradient(name, batch=True).norm().item() for name in layers])
        depth = np.flatnonzero(norms)
        value = np.polyfit(depth, np.log10(norms[depth]), 1)[0]
        """
    )


def dead_code(layer: str, step: int, images: int) -> str:
    """Return the lines for the share of dead channels of a layer."""
    return _fired(layer, step, images) + "\nvalue = (fired == 0).double().mean().item()"


def channel_code(layer: str, channel: int, step: int, images: int) -> str:
    """Return the lines for the share of images on which a channel fires."""
    return _fired(layer, step, images) + f"\nvalue = fired[{channel}].item() / {images}"


def noise_code(layer: str, step: int) -> str:
    """Return the lines for the share of noisy filters."""
    return _lines(
        f"""
        from convviz_widgets.tensors import noisiness

        state.select(checkpoint=state.steps.index({step}))
        ranks = noisiness(
            state.weight({layer!r}),
            groups=state.layer_info({layer!r}).groups,
            transposed="Transpose" in state.layer_info({layer!r}).kind,
        )
        ranks = ranks[ranks == ranks]
        value = (ranks >= 0.05).mean()
        """
    )


def size_code(layer: str, step: int) -> str:
    """Return the lines for the largest weight."""
    return _of_state(step, f"state.weight({layer!r}).abs().max().item()")


def bias_code(layer: str, step: int) -> str:
    """Return the lines for the largest bias."""
    return _of_state(step, f"state.bias({layer!r}).abs().max().item()")


def deviation_code(layer: str, step: int) -> str:
    """Return the lines for the weight farthest from the median, in standard deviations."""
    return _lines(
        f"""
        state.select(checkpoint=state.steps.index({step}))
        weight = state.weight({layer!r}).double()
        value = ((weight - weight.median()).abs().max() / weight.std(correction=0)).item()
        """
    )


def mean_code(layer: str, step: int) -> str:
    """Return the lines for the mean of a layer's pre-activations, in standard deviations."""
    return _pre_activations(layer, step, "(x.mean().abs() / x.std(correction=0)).item()")


def skew_code(layer: str, step: int) -> str:
    """Return the lines for the skew of a layer's pre-activations."""
    return _pre_activations(
        layer, step, "((x - x.mean()) ** 3).mean().item() / x.std(correction=0).item() ** 3"
    )


def centre_code(images: int) -> str:
    """Return the lines for the distance of the inputs' mean from zero."""
    return _inputs(images, "(x.mean().abs() / x.std(correction=0)).item()")


def rms_code(images: int) -> str:
    """Return the lines for the inputs' root mean square."""
    return _inputs(images, "x.square().mean().sqrt().item()")


def stds_code(images: int) -> str:
    """Return the lines for the ratio of the channels' standard deviations."""
    return _inputs(
        images, "(stds.max() / stds.min()).item()", "stds = x.std((0, 2, 3), correction=0)\n"
    )


def clipped_code(images: int) -> str:
    """Return the lines for the share of values out of range once the preprocessing is undone."""
    return _undone(images, "((pixels < -0.5) | (pixels > 255.5)).double().mean().item()")


def whole_code(images: int) -> str:
    """Return the lines for the share of whole numbers once the preprocessing is undone."""
    return _undone(images, "((pixels - pixels.round()).abs() <= 0.02).double().mean().item()")


def repeated_code(batches: int) -> str:
    """Return the lines for the number of batches that repeat an earlier one."""
    return _lines(
        f"""
        from convviz_widgets.instrument import find_repeated_batches
        from convviz_widgets.instrument.loader_batches import loader_batches

        batches = [batch.images for batch in loader_batches(loader, {batches}).batches]
        value = sum(len(numbers) - 1 for numbers in find_repeated_batches(batches))
        """
    )


def stuck_code(step: int, images: int) -> str:
    """Return the lines for the share of the commonest answer."""
    return _lines(
        f"""
        from collections import Counter

        answers = Counter()
        for index in range({images}):
            image = index * len(state.image_set) // {images}
            state.select(checkpoint=state.steps.index({step}), image=image)
            answers[state.logits().argmax().item()] += 1
        value = answers.most_common(1)[0][1] / {images}
        """
    )


def chroma_code(step: int, images: int) -> str:
    """Return the lines for the chroma of the outputs as a share of the targets'."""
    lines = "coloured = [c for c in found if c[1] >= 0.02]\n"
    value = "sum(c[0] for c in coloured) / sum(c[1] for c in coloured)"
    return f"{_pictures(step, images)}\n{lines}value = {value}"


def contrast_code(step: int, images: int) -> str:
    """Return the lines for the contrast of the outputs as a share of the targets'."""
    value = "float(np.median([c[2] / c[3] for c in found if c[3] >= 0.02]))"
    return f"{_pictures(step, images)}\nvalue = {value}"


def _pictures(step: int, images: int) -> str:
    """Return the lines for chroma and contrast of each output, each beside its target's."""
    return _lines(
        f"""
        import numpy as np
        from convviz_widgets.instrument.pictures import as_pictures, chroma, contrast

        found = []
        for index in range({images}):
            image = index * len(state.image_set) // {images}
            state.select(checkpoint=state.steps.index({step}), image=image)
            target = state.image_set.target(image)[None]
            pair = [as_pictures(each, state.image_set) for each in (state.output(), target)]
            found.append([f(each).item() for f in (chroma, contrast) for each in pair])
        """
    )


def _fired(layer: str, step: int, images: int) -> str:
    return _lines(
        f"""
        fired = 0
        for index in range({images}):
            image = index * len(state.image_set) // {images}
            state.select(checkpoint=state.steps.index({step}), image=image)
            maps = state.activation({layer!r})  # (C, ...)
            fired = fired + (maps.reshape(len(maps), -1) != 0).any(dim=1).int()
        """
    )


def _of_state(step: int, value: str) -> str:
    return f"state.select(checkpoint=state.steps.index({step}))\nvalue = {value}"


def _pre_activations(layer: str, step: int, value: str) -> str:
    return (
        _lines(
            f"""
            import torch

            maps = []
            for image in state.probe_indices:
                state.select(checkpoint=state.steps.index({step}), image=image)
                maps.append(state.activation({layer!r}, side="in"))
            x = torch.stack(maps).double()
            """
        )
        + f"\nvalue = {value}"
    )


def _inputs(images: int, value: str, before: str = "") -> str:
    return f"{_spread(images)}\n{before}value = {value}"


def _undone(images: int, value: str) -> str:
    head = _lines(
        """
        scale, shift = images.preprocessing.scale, images.preprocessing.shift
        pixels = 255 * (x * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1))
        """
    )
    return f"{_spread(images)}\n{head}\nvalue = {value}"


def _spread(images: int) -> str:
    return _lines(
        f"""
        import numpy as np

        chosen = np.linspace(0, len(images) - 1, {images}).round().astype(int)
        x = images.batch(chosen.tolist()).double()
        """
    )


def _lines(text: str) -> str:
    return dedent(text).strip()
