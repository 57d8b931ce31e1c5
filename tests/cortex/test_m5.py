"""M5: its contract."""

import pytest

from cortex.m5 import M5
from tests.contracts.stage import StageContract


class TestM5(StageContract):
    name = "m5"
    batch_tolerance = 1e-4  # the rounding of all the stages before it

    @pytest.fixture
    def stage(self):
        return M5()
