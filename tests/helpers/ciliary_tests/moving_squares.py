"""Squares on a ground as proto-objects, in any order of slots: what memories of things are tried on."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ciliary.cortex.memory.objects import ProtoObjects, objects_of

GROUND = "ground"
SIZE = (40, 60)
COLOURS = {GROUND: (0.0, 0.0), "red": (1.0, 0.0), "blue": (0.0, 1.0)}


def squares(
    places: Mapping[str, tuple[int, int]], *, order: tuple[str, ...] = (), side: int = 10, n_slots: int = 5
) -> ProtoObjects:
    """A frame, a batch of one: squares by name at their upper left corners (y, x), the later above the earlier.

    ``order`` says which slot each lies in, ground among them; empty slots follow. A name that is not in
    :data:`COLOURS` is coloured as what it begins with.
    """
    names = order or (GROUND, *places)
    label = torch.full(SIZE, names.index(GROUND))
    for name, (y, x) in places.items():
        label[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)] = names.index(name)
    masks = torch.nn.functional.one_hot(label, n_slots).movedim(-1, 0)[None].float()
    code = torch.zeros(1, n_slots, 2)
    for i, name in enumerate(names):
        code[0, i] = torch.tensor(COLOURS[name.split("_")[0]])
    return objects_of(masks, code)
