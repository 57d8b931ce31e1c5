"""What tests of exams share: coloured shapes, perceived once without and once with learned stages."""

from __future__ import annotations

import pytest

from ciliary.cortex.stages.weights import load_stages
from ciliary.tuning.benchmarks.data import ReadSettings, read_named
from ciliary.tuning.benchmarks.perceive import Eye, Look
from ciliary_tests.shapes import write_npz, write_weights


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """3 classes, 6 training and 4 test images of each, 48 px."""
    return read_named(write_npz(tmp_path_factory.mktemp("shapes") / "shapes.npz"), ReadSettings(size_px=48))


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "cortex.safetensors")


@pytest.fixture(scope="session")
def eye(weights):
    """M5 learned (of nothing), the rest mathematics."""
    return Eye(Look(("m5",), weights, n_tokens=8))


@pytest.fixture(scope="session")
def seen(eye, shapes):
    """Tokens of the training and the test half."""
    return eye.perceive(shapes.train.images), eye.perceive(shapes.test.images)


@pytest.fixture(scope="session")
def net(weights):
    return load_stages("m5", weights)["m5"].net
