"""What tests of training share: folders whose store is ready, so that none of them waits for a database."""

import shutil

import pytest


@pytest.fixture(scope="module")
def make_out(migrated, tmp_path_factory):
    """Makes an output folder whose store is ready."""

    def make():
        folder = tmp_path_factory.mktemp("out")
        shutil.copy(migrated, folder / "mlflow.db")
        return folder

    return make
