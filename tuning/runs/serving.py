"""How MLflow opens a registered policy (its ``loader_module``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.tuning.runs.registry import open_policy, propose_each


class ServedPolicy:
    """A policy behind MLflow's ``predict``."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy

    def predict(self, observations: Mapping[str, Any]) -> np.ndarray:
        """The next settings (N, P) in [-1, 1] for N observations: arrays by name, each (N, ...)."""
        return propose_each(self.policy, observations)


def _load_pyfunc(path: str) -> ServedPolicy:
    """The name and the signature are MLflow's. ``path``: the policy's file."""
    return ServedPolicy(open_policy(Path(path)))
