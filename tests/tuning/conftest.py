from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tuning.settings import SessionSettings
from tuning.store import open_store


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A database already migrated: copying it takes milliseconds, making one takes seconds."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_store(folder, experiment="template")
    return folder / "mlflow.db"


@pytest.fixture
def out(tmp_path, migrated, monkeypatch) -> Path:
    """An output folder whose store is ready."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "out"
    folder.mkdir()
    shutil.copy(migrated, folder / "mlflow.db")
    return folder


@pytest.fixture
def quick_page(monkeypatch):
    """An empty page instead of the drawn ones, which take a second; test_figures and test_animation draw the real."""
    monkeypatch.setattr("tuning.session.draw_episode", lambda *arguments, **more: Figure(figsize=(0.1, 0.1)))
    monkeypatch.setattr("tuning.session.animate_episode", lambda *arguments, **more: None)


@pytest.fixture
def settings(out, quick_page) -> SessionSettings:
    return SessionSettings(controller="random", n_trials=6, population=3, long_side_px=64, out=out, session="s")
