"""A file of learned stages that learned nothing yet, for tests that need one."""

from __future__ import annotations

from pathlib import Path

import torch

from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.cortex.stages.weights import stages_to_bytes


def write_untrained(path: Path, seed: int = 0) -> Path:
    """All stages with seeded random weights."""
    torch.manual_seed(seed)
    path.write_bytes(stages_to_bytes({name: make() for name, make in LEARNED_STAGES.items()}, {"data": "none"}))
    return path
