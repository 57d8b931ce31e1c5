"""The settings of a training of the cortex, read from one file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from ciliary.cortex.options import LEARNED

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser, as it was before it joined the standard library
    import tomli as tomllib

DEFAULT = files("ciliary.tuning.training") / "curriculum.toml"
PHASES = ("m2", "m3", "m5")


@dataclass(frozen=True)
class PhaseSettings:
    """One phase.

    Attributes:
        trains: stages whose networks learn; all others stand still.
        n_steps: at most.
        rate: of Adam.
        weights: of the losses by name.
        check_every: steps between looks at the held-out photographs; None: the curriculum's.
        temperature: of contrastive losses.
        n_rounds: m5: views of each photograph that are remembered.
        n_pairs: m5: proto-objects a step.
    """

    trains: tuple[str, ...]
    n_steps: int
    rate: float
    weights: Mapping[str, float]
    check_every: int | None = None
    temperature: float = 0.1
    n_rounds: int = 3
    n_pairs: int = 256

    def __post_init__(self) -> None:
        unknown = sorted(set(self.trains) - set(LEARNED))
        if unknown or not self.trains:
            raise ValueError(f"expected stages to train from {', '.join(LEARNED)}, got {list(self.trains)}")
        if self.n_steps < 0 or self.rate <= 0 or self.temperature <= 0:
            raise ValueError(f"expected n_steps >= 0, rate > 0 and temperature > 0, got {self}")


@dataclass(frozen=True)
class Curriculum:
    """All phases and what they share; see ``curriculum.toml`` for what each number means."""

    phases: Mapping[str, PhaseSettings]
    seed: int = 0
    long_side_px: int = 144
    hold_out: int = 8
    n_batch: int = 8
    check_every: int = 25
    patience: int = 4
    spread: float = 0.1
    n_settings: int = 12

    def __post_init__(self) -> None:
        unknown = sorted(set(self.phases) - set(PHASES))
        if unknown:
            raise ValueError(f"unknown phase(s) {unknown}; choose from {', '.join(PHASES)}")
        if min(self.n_batch, self.check_every, self.patience) < 1 or self.hold_out < 2 or self.long_side_px < 48:
            raise ValueError(
                f"expected n_batch, check_every and patience >= 1, hold_out >= 2 and long_side_px >= 48, got {self}"
            )

    @property
    def shape_px(self) -> tuple[int, int]:
        """(height, width) of the photographs."""
        return self.long_side_px * 3 // 4, self.long_side_px

    def about(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"phases": {name: asdict(phase) for name, phase in self.phases.items()}}


def read_curriculum(path: Path | None = None) -> Curriculum:
    """Read a curriculum file; the one that comes with the project when ``path`` is None.

    Phases run in the order of :data:`PHASES`, whatever their order in the file; one that is left out is skipped.

    Raises:
        FileNotFoundError: no such file.
        ValueError: naming the file and what is wrong in it.
    """
    file = DEFAULT if path is None else path
    if not file.is_file():
        raise FileNotFoundError(f"no curriculum at {file}")
    try:
        page = tomllib.loads(file.read_text(encoding="utf-8"))
        given = page.pop("phases", {})
        for name, values in [("the curriculum", page), *given.items()]:
            known = {f.name for f in fields(Curriculum if name == "the curriculum" else PhaseSettings)}
            if unknown := sorted(set(values) - known):
                raise ValueError(f"{name} has no {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        phases = {n: PhaseSettings(**{**v, "trains": tuple(v["trains"])}) for n, v in given.items() if n in PHASES}
        if stray := sorted(set(given) - set(PHASES)):
            raise ValueError(f"unknown phase(s) {', '.join(stray)}; choose from {', '.join(PHASES)}")
        return Curriculum({name: phases[name] for name in PHASES if name in phases}, **page)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is no curriculum: {error}") from error
