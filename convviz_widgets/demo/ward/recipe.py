"""What a patient of the ward is made of: everything that decides its run but the seed."""

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
