"""One small photograph, looked at by the mathematical cortex and by one with learned parts (weights at random)."""

from __future__ import annotations

import pytest
import torch

from cortex import Cortex
from cortex.learned.weights import LEARNED, stages_to_bytes
from tuning.looking.look import Look, look


@pytest.fixture(scope="package")
def weights(tmp_path_factory):
    """A file of all learned stages as they are before any training."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "cortex.safetensors"
    path.write_bytes(stages_to_bytes({name: kind() for name, kind in LEARNED.items()}, {}))
    return path


@pytest.fixture(scope="package")
def mathematical(chelsea) -> Look:
    return look(Cortex(recognise=True), chelsea[0, :, :48, :64], name="a cat")


@pytest.fixture(scope="package")
def learned(chelsea, weights) -> Look:
    return look(Cortex(learned=True, weights=weights), chelsea[0, :, :48, :64], name="a cat")
