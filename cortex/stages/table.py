"""The one list of stages: what each is made by, what it answers with, and its learned part if it has one.

A stage is added by its file, its answer in :mod:`ciliary.cortex.percept`, and a row here (and its place in
``Cortex.forward``, which hands on what it needs). Profile, contract and weights read this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ciliary.cortex.percept import M1Out, M2Out, M3Out, M4Out, M5Out, RetinaOut
from ciliary.cortex.stages.m1_perception import M1
from ciliary.cortex.stages.m2_grouping import M2
from ciliary.cortex.stages.m2_learned import LearnedM2
from ciliary.cortex.stages.m3_invariance import M3
from ciliary.cortex.stages.m3_learned import LearnedM3
from ciliary.cortex.stages.m4_objects import M4
from ciliary.cortex.stages.m5_learned import LearnedM5
from ciliary.cortex.stages.m5_recognition import M5
from ciliary.cortex.stages.retina import Retina


@dataclass(frozen=True)
class Stage:
    """One row: the mathematical module, the dataclass of its answer, and the learned module if there is one."""

    make: type[nn.Module]
    answer: type
    learned: type[nn.Module] | None = None


TABLE: Mapping[str, Stage] = {
    "retina": Stage(Retina, RetinaOut),
    "m1": Stage(M1, M1Out),
    "m2": Stage(M2, M2Out, LearnedM2),
    "m3": Stage(M3, M3Out, LearnedM3),
    "m4": Stage(M4, M4Out),
    "m5": Stage(M5, M5Out, LearnedM5),
}
#: Name -> learned module, of the stages that have one.
LEARNED_STAGES: Mapping[str, type[nn.Module]] = {name: row.learned for name, row in TABLE.items() if row.learned}
