"""One small photograph, looked at by the mathematical cortex and by one with learned parts (weights at random)."""

from __future__ import annotations

import pytest

from ciliary.cortex import Cortex
from ciliary.cortex.plot.look import Look, look
from ciliary_tests.learned import write_untrained


@pytest.fixture(scope="session")
def untrained_weights(tmp_path_factory):
    """A file of all learned stages as they are before any training."""
    return write_untrained(tmp_path_factory.mktemp("weights") / "cortex.safetensors")


@pytest.fixture(scope="session")
def mathematical(chelsea) -> Look:
    return look(Cortex(recognise=True), chelsea[0, :, :48, :64], name="a cat")


@pytest.fixture(scope="session")
def learned(chelsea, untrained_weights) -> Look:
    return look(Cortex(learned=True, weights=untrained_weights), chelsea[0, :, :48, :64], name="a cat")
