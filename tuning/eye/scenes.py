"""The photographs of an eye's training and exam: which, and as scenes ready to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.data.gaze import is_to_choose
from ciliary.envs.data.sources import folder
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.sources import scene_of_photograph

_HOLD_OUT = 4
#: Optics of a training: coarser, three times as quick. The exam is on the environment as it is.
QUICK: dict[str, Any] = {"n_layers": 2, "window_px": 48, "coarse": 8, "mosaic_coarse": 4}
#: Episodes of a training last all their looks: then all begin at once, and none waits for another's first look.
ENDLESS: dict[str, Any] = {"patience": 10**6}


def parts_of(where: Path) -> dict[str, list[int]]:
    """Indices into the folder's photographs: ``learn``, ``choose`` (held out of training) and ``tell``.

    Raises:
        ValueError: a part would be empty.
    """
    names = folder(where, None).names
    choosing = [i for i, name in enumerate(names) if is_to_choose(name)]
    parts = {
        "learn": [i for k, i in enumerate(choosing) if k % _HOLD_OUT],
        "choose": choosing[::_HOLD_OUT],
        "tell": [i for i, name in enumerate(names) if not is_to_choose(name)],
    }
    empty = [name for name, indices in parts.items() if not indices]
    if empty:
        raise ValueError(f"{where} has {len(names)} photographs and none to {', '.join(empty)}; give some dozens")
    return parts


def scenes_of(
    where: Path, indices: Sequence[int], config: EyeConfig, *, on_scene: Callable[[], None] = lambda: None
) -> list[EyeScene]:
    """Photographs of a folder as scenes in depth, fitted to the environment's size: 1.2 MB each."""
    source, scenes = folder(where, None), []
    for i in indices:
        scenes.append(scene_of_photograph(source, i, config))
        on_scene()
    return scenes


def evenly(indices: Sequence[int], n: int) -> list[int]:
    """``n`` of them, or all, evenly."""
    n = min(n, len(indices))
    return [indices[k * len(indices) // n] for k in range(n)]
