"""Inherited stages that nobody taught yet, for tests that need some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ciliary.cortex.stages.inherited import make_inherited
from ciliary.cortex.stages.weights import stages_to_bytes


def untaught(kind: str = "contours", seed: int = 0) -> dict[str, nn.Module]:
    """Stages with seeded random weights, as a cortex would have them: in eval mode and frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stages = make_inherited(kind)
        with torch.no_grad():  # of what may speak either way it says nothing before it is taught
            for name in ("m3", "m4"):
                torch.nn.init.normal_(stages[name].get_parameter("cost.either"), std=0.2)
    return {name: stage.eval().requires_grad_(False) for name, stage in stages.items()}


def write_untaught(path: Path, kind: str = "contours", seed: int = 0, *, without: Sequence[str] = ()) -> Path:
    """A file of them, which says that it was taught without some images."""
    path.write_bytes(stages_to_bytes(untaught(kind, seed), {"labels": "none", "left_out": list(without)}))
    return path
