"""Looks that were chosen for what they come to together, on labelled images, once; no label is seen when they look.

Of a Sobol sequence, eight looks at random come to less than thirty-two. Which eight matters: chosen one after the
other, each the one that adds most to what those before it come to (:mod:`ciliary.tuning.calibration.looks`), they come
to more. The order is that of their choice, so that the first few are the best few.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.cortex.table import ParameterTable

SUFFIX = ".json"
_FOLDER = Path(__file__).with_name("looks")
_KIND = "looks"


@dataclass(frozen=True, eq=False)
class ChosenLooks:
    """K settings of a perceiver, in the order in which they are to be looked through.

    Attributes:
        u: (K, P) in [-1, 1]; the first are the defaults.
        parameters: names of the P columns.
        perceiver: name of the one they were chosen for.
        about: how they were chosen; JSON types only.
    """

    u: np.ndarray
    parameters: tuple[str, ...]
    perceiver: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.u.ndim != 2 or len(self.u) < 1 or self.u.shape[1] != len(self.parameters):
            raise ValueError(
                f"expected one look or more with a number for each of {len(self.parameters)} parameters, "
                f"got {self.u.shape}"
            )
        if not (np.isfinite(self.u).all() and (np.abs(self.u) <= 1).all()):
            raise ValueError("expected settings in [-1, 1]")

    def around(self, table: ParameterTable, centre_u: np.ndarray | None = None) -> np.ndarray:
        """The looks (K, P) float32 of a table; moved with the defaults where ``centre_u`` (P,) are others."""
        u = table.align(self.parameters, self.u)[0]
        moved = u if centre_u is None else u + (np.asarray(centre_u) - table.default_unit()[0].numpy())
        return np.asarray(np.clip(moved, -1, 1), np.float32)

    def save(self, path: Path | str) -> None:
        """Write a JSON file that people can read."""
        rows = [[round(float(x), 6) for x in row] for row in self.u]
        text = json.dumps({"kind": _KIND, "perceiver": self.perceiver, "about": dict(self.about)}, indent=1)[:-2]
        listed = ",\n  ".join(json.dumps(row) for row in rows)
        Path(path).write_text(
            f'{text},\n "parameters": {json.dumps(self.parameters)},\n "u": [\n  {listed}\n ]\n}}\n', encoding="utf-8"
        )

    @classmethod
    def load(cls, path: Path | str) -> ChosenLooks:
        """Read such a file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it holds something else.
        """
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            if found["kind"] != _KIND:
                raise ValueError(f"its kind is {found['kind']!r}")
            u = np.array(found["u"], dtype=np.float32)
            return cls(u, tuple(found["parameters"]), str(found["perceiver"]), dict(found["about"]))
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} holds no looks: {error}; make it with: ciliary calibrate --looks 8 --out looks.json"
            ) from error


def shipped_looks(perceiver: str) -> ChosenLooks | None:
    """Those that come along for a perceiver that glances, by its name; None where none were chosen."""
    path = _FOLDER / f"{perceiver.removesuffix(' glances')}{SUFFIX}"
    return ChosenLooks.load(path) if perceiver.endswith(" glances") and path.is_file() else None


def shipped_files() -> list[Path]:
    """The files that come along, sorted."""
    return sorted(_FOLDER.glob(f"*{SUFFIX}"))
