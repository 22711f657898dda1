"""What an embedding costs beyond what scikit-learn takes for the same codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.state.embeddings import METHODS, PCA, EmbeddingJob
from measuring.report import LOAD, Goal, write

IMAGES = 500
CHANNELS = 64
GROUPS = 10

PATIENCE = 600

Samples = dict[str, list[float]]


def embeddings(rounds: int) -> tuple[dict[str, Samples], list[Goal]]:
    """Time PCA and t-SNE of the same codes: scikit-learn alone, and as a view asks for it.

    That is with the thread, the alignment and the labels, the codes being there. t-SNE starts from
    the first two principal components in both.
    """
    state = state_of_codes()
    samples: dict[str, Samples] = {}
    goals = []
    for method in METHODS:
        title = f"{method.upper()} of {IMAGES} images with {CHANNELS} channels"
        samples[title] = {"scikit-learn alone": [], "embedding": []}
        for _ in range(rounds):
            samples[title]["embedding"].append(_asked(state, method))
            samples[title]["scikit-learn alone"].append(_alone(state, method))
        taken = samples[title]
        pairs = zip(taken["embedding"], taken["scikit-learn alone"], strict=True)
        if method == PCA:
            beyond = median(ours - theirs for ours, theirs in pairs)
            goals.append(Goal(f"{title}, beyond scikit-learn alone", beyond, 20, " ms"))
        else:
            ratio = median(ours / theirs for ours, theirs in pairs)
            goals.append(Goal(f"{title}, times scikit-learn alone", ratio, 1.1))
    state.close()
    return samples, goals


def state_of_codes() -> ModelState:
    """Return a state whose images are their codes: ten groups, after a ReLU."""
    random = torch.Generator().manual_seed(0)
    centres = torch.rand(GROUPS, CHANNELS, generator=random) * 4
    labels = torch.arange(IMAGES) % GROUPS
    codes = centres[labels] + torch.randn(IMAGES, CHANNELS, generator=random)
    net = nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(CHANNELS).reshape(CHANNELS, CHANNELS, 1, 1))
    return ModelState(net, ImageSet(codes[:, :, None, None], labels.tolist(), mean=0.0, std=1.0))


def _job(state: ModelState, method: str) -> EmbeddingJob:
    (key,) = state.embeddings.keys
    return EmbeddingJob(key, key, "1", IMAGES, method)


def _asked(state: ModelState, method: str) -> float:
    """Return the milliseconds until an embedding is there, whose codes are."""
    wanted, found = _job(state, method), state.embeddings
    found.ask(state, _job(state, PCA))  # for the codes, and to import what is needed
    assert found.wait(PATIENCE)
    found._done.clear()
    found._layouts.clear()
    begun = perf_counter()
    found.ask(state, wanted)
    assert found.wait(PATIENCE)
    taken = 1000 * (perf_counter() - begun)
    assert found.get(wanted) is not None, found.failure(wanted)
    return taken


def _alone(state: ModelState, method: str) -> float:
    """Return the milliseconds of scikit-learn's own fit."""
    from sklearn.decomposition import PCA as ScikitPCA
    from sklearn.manifold import TSNE as ScikitTSNE

    images = state.image_set.batch(range(IMAGES))
    codes = images[:, :, 0, 0].relu().numpy()  # what the network makes of them
    fits: dict[str, Callable[[], object]] = {
        "pca": lambda: ScikitPCA(2, random_state=0).fit_transform(codes),
        "t-sne": lambda: ScikitTSNE(2, perplexity=30, init="pca", random_state=0).fit_transform(
            codes
        ),
    }
    begun = perf_counter()
    fits[method]()
    return 1000 * (perf_counter() - begun)


def write_beside(path: Path, what: str, samples: dict[str, Samples], goals: list[Goal]) -> None:
    """Put these results beside the others in the file, in place of what they were before."""
    others = json.loads(path.read_text(encoding="utf-8"))
    write(path, samples, goals)
    ours = json.loads(path.read_text(encoding="utf-8"))
    texts = {goal["goal"] for goal in ours["goals"]}
    kept = [goal for goal in others["goals"] if goal["goal"] not in texts]
    for part in ("median_ms", "samples_ms"):
        others[part] |= ours[part]
    others["goals"] = kept + ours["goals"]
    others["machine"][f"load_before_{what}"] = round(LOAD, 2)
    path.write_text(json.dumps(others, indent=1) + "\n", encoding="utf-8")
