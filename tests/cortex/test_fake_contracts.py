"""The exam of every stage, sat on torch's fake tensors of a device that is not there: mathematical, learned, inherited.

What the stage is given and answers are the CPU's tensors, and so are its gradients; all between lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from torch import nn

from ciliary.cortex.stages.m1_perception import M1
from ciliary.cortex.stages.m2_grouping import M2
from ciliary.cortex.stages.m3_invariance import M3
from ciliary.cortex.stages.m4_objects import M4
from ciliary.cortex.stages.m5_recognition import M5
from ciliary.cortex.stages.retina import Retina
from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.testing.stage import StageContract
from ciliary_tests.fake_device import BACKWARD
from ciliary_tests.fake_stage import StageThere
from ciliary_tests.untaught import untaught

pytestmark = pytest.mark.slow  # each exam is some hundred answers


class ContractThere(StageContract):
    make: ClassVar[Callable[[], nn.Module]]

    @pytest.fixture
    def stage(self):
        return StageThere(type(self).make().eval().requires_grad_(False), BACKWARD)


class TestRetina(ContractThere):
    name = "retina"
    make = Retina


class TestM1(ContractThere):
    name = "m1"
    make = M1


class TestM2(ContractThere):
    name = "m2"
    make = M2
    ignored = M2.inert


class TestM3(ContractThere):
    name = "m3"
    make = M3
    choosing = frozenset({"linkage_exponent"})  # as on the CPU


class TestM4(ContractThere):
    name = "m4"
    make = M4


class TestM5(ContractThere):
    name = "m5"
    make = M5
    batch_tolerance = 1e-4


class TestLearnedM2(ContractThere):
    name = "m2"
    make = LEARNED_STAGES["m2"]
    ignored = LEARNED_STAGES["m2"].inert


class TestLearnedM3(ContractThere):
    name = "m3"
    make = LEARNED_STAGES["m3"]
    choosing = frozenset({"linkage_exponent"})


class TestLearnedM5(ContractThere):
    name = "m5"
    make = LEARNED_STAGES["m5"]
    batch_tolerance = 1e-4


class TestM1OfContours(ContractThere):
    name = "m1"
    make = staticmethod(lambda: untaught()["m1"])


class TestM2OfContours(ContractThere):
    name = "m2"
    make = staticmethod(lambda: untaught()["m2"])


class TestM3OfContours(ContractThere):
    name = "m3"
    make = staticmethod(lambda: untaught()["m3"])
    ignored = untaught()["m3"].inert | {"n_slots"}
    choosing = frozenset({"linkage_exponent"})
    batch_tolerance = 1e-3


class TestM4OfContours(ContractThere):
    name = "m4"
    make = staticmethod(lambda: untaught()["m4"])
