"""Measures the table that ships: labelled photographs, clean and disturbed, under 64 settings of five parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from ciliary.cortex.parameters import PARAMETERS, ParameterTable
from ciliary.envs.data.labelled import read_bsds
from ciliary.tuning.evaluation.cases import make_cases
from ciliary.tuning.evaluation.measure import Measure, MeasureSettings
from ciliary.tuning.evaluation.table import Case, ResponseTable, compute_table
from ciliary.tuning.runs.fingerprints import code_mark

#: Parameter -> lowest and highest u that is tried: blur, for noise; what regions differ in; how far they merge.
MOVED: Mapping[str, tuple[float, float]] = {
    "blur_sigma_px": (-0.7, 0.7),
    "colour_weight": (0.0, 0.95),
    "texture_weight": (-0.1, 0.95),
    "merge_threshold": (-0.6, 0.35),
    "expected_objects": (-0.6, 0.5),
}
N_SETTINGS, N_FOLDS, SIZE_PX, N_VIEWS = 64, 5, 128, 2
N_DISTURBED = 64  # images, the first by name: eight of each kind
DISTURBANCE = "mixed:3"
_BITS = 14  # of each number's fraction that are kept: 5 digits, in half the room


def box_settings(
    n: int, moved: Mapping[str, tuple[float, float]] = MOVED, *, table: ParameterTable = PARAMETERS, seed: int = 0
) -> np.ndarray:
    """Settings (n, P) float32 in [-1, 1]: the defaults, then a scrambled Sobol sample of a box.

    Args:
        n: how many; a power of two keeps them even. What is not moved has its default.
        moved: parameter -> the sides of the box in u.
        table: of the P parameters.
        seed: of the scrambling.
    """
    u = np.repeat(table.default_unit(1).numpy(), n, 0)
    low, high = np.array(list(moved.values())).T
    columns = [table.names.index(name) for name in moved]
    u[1:, columns] = qmc.scale(qmc.Sobol(len(moved), seed=seed).random(n), low, high)[1:]
    return u.astype(np.float32)


@dataclass(frozen=True)
class WithDissent:
    """A measure whose columns of a panel, one pair a member, become two terms.

    ``term.dissent`` is 1 - how far a percept and those of the other settings cover each other, as the objective
    ``agreement`` has it; ``term.joint`` the mean of that and of the raw total, as ``joint`` has it.
    """

    measure: Measure

    def __call__(self, item: Any, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        """Columns, each (S,)."""
        columns = self.measure(item, case, u)
        pairs = [
            (values, columns[name.replace("agreement.", "covered.")])
            for name, values in columns.items()
            if name.startswith("agreement.")
        ]
        both = np.sort(np.array(pairs).mean(1), 0)  # (K, S); the member that is covered best is oneself
        dissent = 1 - both[:-1].mean(0)
        kept = {name: v for name, v in columns.items() if not name.startswith(("agreement.", "covered."))}
        return kept | {"term.dissent": dissent, "term.joint": (dissent + columns["term.total"]) / 2}


def measure_bsds(bsds: Path, folder: Path, *, n_images: int | None = None, n_workers: int = 1) -> ResponseTable:
    """The table of BSDS500's validation photographs, seen by the mathematical cortex; goes on where it stood.

    Args:
        bsds: folder of BSDS500.
        folder: where each case is kept.
        n_images: so many, evenly; all when None.
        n_workers: processes.
    """
    data = read_bsds(bsds, "val", n_images=n_images)
    how = MeasureSettings(cortex={}, size_px=SIZE_PX, n_views=N_VIEWS, n_panel=N_SETTINGS)
    about = {"data": "BSDS500, validation images", "perceiver": "cortex", "size_px": SIZE_PX, "n_views": N_VIEWS}
    table = compute_table(
        folder,
        data,
        make_cases(data.names, ["none"]) + make_cases(data.names[:N_DISTURBED], [DISTURBANCE]),
        box_settings(N_SETTINGS),
        WithDissent(Measure(how)),
        n_workers=n_workers,
        meta=about | {"code": code_mark()},
        parameters=PARAMETERS.names,
    )
    return replace(table, meta=table.meta | {"folds": folds_of(data.names, N_FOLDS)})


def folds_of(images: Sequence[str], n: int) -> dict[str, int]:
    """Image -> its fold in [0, n): dealt out in the order of their names."""
    return {name: i % n for i, name in enumerate(sorted(images))}


def save_small(table: ResponseTable, path: Path) -> Path:
    """Write a table compressed, its numbers to five digits."""
    columns = {name: rounded(values) for name, values in table.columns.items()}
    return replace(table, columns=columns).save(path, is_compressed=True)


def rounded(values: np.ndarray, n_bits: int = _BITS) -> np.ndarray:
    """float32 with so many bits of fraction, to the nearest; the rest are 0, which packs well."""
    half, mask = np.uint32(1 << (22 - n_bits)), np.uint32(0xFFFFFFFF << (23 - n_bits) & 0xFFFFFFFF)
    whole = np.asarray(values, np.float32)
    bits = (whole.view(np.uint32) + half) & mask
    return np.where(np.isfinite(whole), bits.view(np.float32), whole)
