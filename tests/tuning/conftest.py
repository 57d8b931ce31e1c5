from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.postgres import server


@pytest.fixture
def quick_page(monkeypatch):
    """An empty page instead of those drawn, which take a second; test_figures, test_animation, looking/ draw them."""
    monkeypatch.setattr(
        "ciliary.tuning.sessions.episode.draw_episode", lambda *arguments, **more: Figure(figsize=(0.1, 0.1))
    )
    monkeypatch.setattr("ciliary.tuning.sessions.episode.animate_episode", lambda *arguments, **more: None)
    monkeypatch.setattr(
        "ciliary.tuning.sessions.episode.draw_stages", lambda *arguments, **more: Figure(figsize=(0.1, 0.1))
    )


@pytest.fixture
def settings(out, quick_page) -> SessionSettings:
    return SessionSettings(controller="random", n_trials=6, population=3, size_px=64, out=out, session="s")


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL for all tests, each in a database of its own; skips where there is none."""
    with server() as started:
        yield started
