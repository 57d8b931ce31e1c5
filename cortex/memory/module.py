"""The memory of things as a module, which keeps nothing: memory goes in and comes out."""

from __future__ import annotations

from torch import Tensor, nn

from ciliary.cortex.memory.files import ObjectMemory, Recognised, empty_memory
from ciliary.cortex.memory.objects import proto_objects
from ciliary.cortex.memory.remember import remember
from ciliary.cortex.memory.settings import MemorySettings
from ciliary.cortex.percept import Percept


class ObjectFiles(nn.Module):
    """:func:`~ciliary.cortex.memory.remember.remember` of percepts.

    Args:
        settings: the defaults when None.
        n_slots: of the memory.
    """

    def __init__(self, settings: MemorySettings | None = None, *, n_slots: int = 48) -> None:
        super().__init__()
        self.settings = settings or MemorySettings()
        self.n_slots = n_slots

    def forward(
        self, percept: Percept, memory: ObjectMemory | None = None, motion: Tensor | None = None
    ) -> tuple[ObjectMemory, Recognised]:
        """The next frame; without a memory it is the first."""
        objects = proto_objects(percept)
        memory = empty_memory(objects, n_slots=self.n_slots) if memory is None else memory
        return remember(memory, objects, motion=motion, settings=self.settings)
