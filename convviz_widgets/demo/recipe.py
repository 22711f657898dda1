"""What a demonstration run is made of: everything that decides its weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one run is trained: AdamW, one-cycle learning rate, cross-entropy."""

    name: str
    steps: int
    every: int
    """Steps between two checkpoints."""
    decay: float
    """Weight decay of all parameters but the first convolution's weights."""
    first_decay: float
    """Weight decay of the first convolution's weights."""
    first_scale: float
    """Factor on the first convolution's initial weights."""
    flip: bool
    """Mirror half of the training patches."""
    learning_rate: float = 3e-3
    """Peak of the one-cycle schedule."""
    batch_size: int = 64
    patches: int = 200
    """Most training patches of one photograph."""
    seed: int = 0
    version: int = 1
    """Raised when the code changes what the same numbers train."""

    @property
    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps at which a checkpoint is written: the start, every so often, the end."""
        return (*range(0, self.steps, self.every), self.steps)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with anything in the recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Return all fields as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "demo", steps=1500, every=50, decay=0.02, first_decay=0.3, first_scale=0.1, flip=True
        ),
        Recipe(
            "undertrained",
            steps=600,
            every=20,
            decay=0.01,
            first_decay=0.01,
            first_scale=1.0,
            flip=False,
        ),
    )
}
"""``demo`` learns smooth colour and edge filters. ``undertrained`` stops early and keeps
PyTorch's defaults: its first filters stay noisy."""
