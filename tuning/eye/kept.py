"""Episodes that were played before are not played again: files by what they depend on, the code included."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.eye.playing import Played
from ciliary.agents.eye.policy import EyePolicyController
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import code_mark, digest

_ROOMS = ("cortex", "envs", "agents")


def kept(
    folder: Path, controller: ControllerBase, names: Sequence[str], how: str, play: Callable[[], Played]
) -> Played:
    """What ``play`` gives, or gave before for the same controller, photographs, code and ``how`` (photons, starts)."""
    own = controller.policy if isinstance(controller, EyePolicyController) else repr(controller)
    content = Path(own).read_bytes() if isinstance(own, Path) else str(own).encode()
    mark = digest("\n".join([code_mark(rooms=_ROOMS), digest(content), how, *names]).encode())
    path = folder / f"{mark}.npz"
    if path.is_file():
        return _read(path)
    played = play()
    file = io.BytesIO()
    arrays = {f"before_{name}": values for name, values in played.before.items()}
    arrays |= {f"after_{name}": values for name, values in played.after.items()}
    rest = {name: getattr(played, name) for name in ("gain", "n_steps", "degrees", "defocus_dpt")}
    np.savez(file, **(arrays | rest))
    write_atomically(path, file.getvalue())
    return played


def _read(path: Path) -> Played:
    with np.load(path, allow_pickle=False) as file:
        found = dict(file)
    parts = {
        part: {name.removeprefix(f"{part}_"): values for name, values in found.items() if name.startswith(f"{part}_")}
        for part in ("before", "after")
    }
    return Played(
        found["gain"], found["n_steps"], parts["before"], parts["after"], found["degrees"], found["defocus_dpt"]
    )
