"""What tests of scripts share: the script as a module, and a folder with a ready tracking store."""

import shutil

import pytest

from tests.scripts.loading import load_script
from tuning.store import open_store


@pytest.fixture(scope="module")
def script(request):
    """The script that the test module names as ``SCRIPT``, imported."""
    return load_script(request.module.SCRIPT.stem)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_store(folder, experiment="template")
    return folder / "mlflow.db"


@pytest.fixture
def out(tmp_path, template, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "out").mkdir()
    shutil.copy(template, tmp_path / "out" / "mlflow.db")
    return tmp_path / "out"
