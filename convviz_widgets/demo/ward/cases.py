"""The cases of the ward: how each run is trained, and the one cause that is planted in it, or none.

A case decides everything about its run but the seed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Literal

Network = Literal[
    "plain",
    "wide",
    "functional",
    "batch-norm",
    "gelu",
    "residual",
    "deep-sigmoid",
    "deep-relu",
    "autoencoder",
]

Schedule = Literal["constant", "one-cycle", "cosine", "warm-up", "jump"]

Scaling = Literal["standard", "unit", "bytes", "misstated"]

Fault = Literal["", "bad-batch", "grey-loss", "repeated-batch", "leak", "duplicates"]


@dataclasses.dataclass(frozen=True)
class Case:
    """How one run is trained, what is wrong with it, and which rule should say so."""

    name: str
    cause: str
    """What was planted, in words; for a healthy run what it is."""
    rules: tuple[str, ...] = ()
    """Rules any of which names the cause; none for a healthy run."""
    network: Network = "plain"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    rate: float = 3e-3
    momentum: float = 0.0
    """Of SGD."""
    decay: float = 0.01
    schedule: Schedule = "constant"
    gain: float = 0.0
    """Factor on He's initial weights of convolutions; 0: PyTorch's default weights."""
    steps: int = 300
    every: int = 25
    """Steps between two checkpoints, and two evaluations."""
    batch_size: int = 64
    patches: int = 120
    """Training patches of each of the twelve photographs."""
    validation_patches: int = 40
    """Of each photograph, from its right quarter."""
    flip: bool = True
    """Mirror half of the training patches."""
    scaling: Scaling = "standard"
    fault: Fault = ""
    version: int = 1
    """Raised when the code changes what the same numbers train."""

    @property
    def is_autoencoder(self) -> bool:
        """Whether the network paints its input instead of naming its class."""
        return self.network == "autoencoder"

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that change with anything in the case."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _by_name(*cases: Case) -> dict[str, Case]:
    return {case.name: case for case in cases}


ILLNESSES = _by_name(
    Case("rate-too-high", "a learning rate of 0.1 with AdamW", ("dead-layer",), rate=0.1),
    Case(
        "rate-jumps",
        "the learning rate is 30 times higher from step 150 on",
        ("loss-jump",),
        schedule="jump",
    ),
    Case("rate-too-low", "a learning rate of 1e-5 with AdamW", ("slow-learning",), rate=1e-5),
    Case(
        "overfit",
        "120 images, never mirrored, for a network of 32-48-64 filters",
        ("overfit",),
        network="wide",
        patches=10,
        flip=False,
    ),
    Case(
        "vanishing",
        "eight convolutions with sigmoids, SGD",
        ("vanishing-gradient",),
        network="deep-sigmoid",
        optimizer="sgd",
        rate=0.1,
    ),
    Case(
        "exploding",
        "eight convolutions whose initial weights are three times He's, SGD",
        ("exploding-gradient", "non-finite"),
        network="deep-relu",
        optimizer="sgd",
        rate=0.01,
        gain=3.0,
        steps=50,
        every=10,
    ),
    Case(
        "bad-batch",
        "the labels of one batch, at step 150, are all one class too high",
        ("loss-surge",),
        fault="bad-batch",
    ),
    Case(
        "bad-input-scale",
        "inputs from 0 to 255, SGD",
        ("input-scale",),
        optimizer="sgd",
        rate=0.05,
        scaling="bytes",
    ),
    Case(
        "washed-out",
        "an autoencoder whose loss leaves out the error of colour",
        ("washed-out-output",),
        network="autoencoder",
        fault="grey-loss",
    ),
    Case(
        "repeated-batch",
        "a loader that gives its third batch again and again",
        ("repeated-batch",),
        schedule="one-cycle",
        fault="repeated-batch",
    ),
    Case(
        "leak",
        "60 training patches among the validation patches",
        ("train-validation-leak",),
        schedule="one-cycle",
        fault="leak",
    ),
    Case(
        "duplicates",
        "60 training patches twice in the training set",
        ("duplicate-sample",),
        schedule="one-cycle",
        fault="duplicates",
    ),
    Case(
        "wrong-preprocessing",
        "mean and std that are not those that were subtracted and divided by",
        ("wrong-preprocessing",),
        schedule="one-cycle",
        scaling="misstated",
    ),
    Case(
        "stopped-early",
        "40 steps: the first filters are the noise that they began as",
        ("noisy-filter",),
        rate=1e-3,
        steps=40,
        every=10,
    ),
    Case(
        "off-centre",
        "inputs from 0 to 1, whose mean was not subtracted",
        ("input-not-centred",),
        schedule="one-cycle",
        scaling="unit",
    ),
)
"""Runs with one planted cause, by name. The last two are worth a remark, not an alarm."""

HEALTHY = _by_name(
    Case("one-cycle", "ReLU network, AdamW, one-cycle schedule", schedule="one-cycle"),
    Case(
        "batch-norm-cosine",
        "batch norm, AdamW, cosine schedule",
        network="batch-norm",
        schedule="cosine",
    ),
    Case("sgd", "ReLU network, SGD with momentum", optimizer="sgd", rate=0.02, momentum=0.9),
    Case("gelu-warm-up", "GELU network, AdamW, warm-up", network="gelu", schedule="warm-up"),
    Case(
        "batch-norm-sgd",
        "batch norm, SGD at 0.1 with warm-up",
        network="batch-norm",
        optimizer="sgd",
        rate=0.1,
        schedule="warm-up",
    ),
    Case(
        "residual",
        "residual network with batch norm and functional ReLUs, SGD with momentum, cosine",
        network="residual",
        optimizer="sgd",
        rate=0.05,
        momentum=0.9,
        schedule="cosine",
    ),
    Case(
        "functional",
        "functional ReLUs, AdamW, cosine schedule",
        network="functional",
        rate=2e-3,
        schedule="cosine",
    ),
    Case(
        "autoencoder",
        "autoencoder, AdamW, one-cycle schedule",
        network="autoencoder",
        schedule="one-cycle",
    ),
)
"""Runs with nothing planted, by name: different networks, optimisers and schedules."""
