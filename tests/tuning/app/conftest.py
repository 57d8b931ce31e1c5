"""A photograph, who sees it, and a tab of the page that shows it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ciliary.tuning.app import state
from ciliary.tuning.app.eye import Eye
from ciliary.tuning.app.job import find
from ciliary.tuning.app.settings import OpenSettings

_QUICK = {"size_px": 48, "inherited": "none", "answer": "best", "controller": "random", "n_trials": 4}


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    rng = np.random.default_rng(0)
    page = np.kron(rng.integers(0, 255, (4, 5, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    path = tmp_path_factory.mktemp("photos") / "tiles.png"
    Image.fromarray(page).save(path)
    return path


@pytest.fixture(scope="module")
def settings(photo):
    return OpenSettings((str(photo),), use_guard=False, **_QUICK)


@pytest.fixture(scope="module")
def eye(settings):
    return Eye(settings.session)


@pytest.fixture
def tab(settings, eye):
    inputs, problems = find(settings)
    assert not problems
    item, shown = inputs["tiles"]
    return state.opened(eye, eye.open(item, shown.load()))


@pytest.fixture
def quick():
    """Settings of an episode that takes a second."""
    return dict(_QUICK)
