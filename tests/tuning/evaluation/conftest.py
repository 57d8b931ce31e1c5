"""What tests of contests share: a folder of labelled images, and a small calibration."""

import pytest

from ciliary.envs.data.labelled import read_labelled_folder
from ciliary_tests.labelled import write_calibration, write_labelled


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_labelled_folder(write_labelled(tmp_path_factory.mktemp("labelled") / "l"))


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    return write_calibration(tmp_path_factory.mktemp("calibration") / "c.npz")
