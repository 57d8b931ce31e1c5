"""A contact sheet of a session: the regions of its best and worst episodes, at the defaults and in the end."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ciliary.cortex.plot import style
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.tuning.runs.store import Store
from ciliary.tuning.sessions.gains import gains_of

_STEP = re.compile(r"images/regions[+%]step[+%](\d+)[+%].*\.png$")
_WIDTH_IN, _N_COLUMNS = 7.6, 4  # two episodes a row, each before and after


def draw_contacts(store: Store, episodes: Sequence[tuple[Mapping[str, Any], str | None]]) -> Figure | None:
    """Draw the sheet of pictures that the episodes' runs hold; None where fewer than two hold any.

    Args:
        store: of the runs.
        episodes: records, each with its run, from the best to the worst.
    """
    found = [(record, regions_of(store, run_id)) for record, run_id in episodes if run_id is not None]
    shown = [(record, pictures) for record, pictures in found if pictures]
    if len(shown) < 2:
        return None
    n_rows = -(-len(shown) // 2)
    size = shown[0][1][0].shape[:2]
    rows = [picture_row(_N_COLUMNS, (size[0], size[1]), gap_in=0.42, width_in=_WIDTH_IN)] * n_rows
    note = "regions at the defaults, and what the episode came to; gain in the total, above 0 is better"
    page = Sheet("From the largest gain to the smallest", note, rows, width_in=_WIDTH_IN)
    for i, (record, pictures) in enumerate(shown):
        row, column = divmod(i, 2)
        name = str(record["image"])
        name = name if len(name) <= 24 else f"{name[:23]}…"
        style.picture(page.axes(row, 2 * column), pictures[0], name, record["disturbance"].replace("none", ""))
        gain = f"gain {gains_of(record)['total']:+.3f}".replace("-", "−")
        style.picture(page.axes(row, 2 * column + 1), pictures[-1], gain)
    return page.figure


def regions_of(store: Store, run_id: str) -> list[np.ndarray]:
    """The first and the last picture (H, W, 3), in [0, 1], of ``regions`` that a run holds, or none."""
    steps = {}
    for file in store.client.list_artifacts(run_id, "images"):
        if match := _STEP.fullmatch(file.path):
            steps[int(match[1])] = file.path
    with tempfile.TemporaryDirectory() as folder:
        ends = [steps[step] for step in sorted({*steps})[:: max(1, len(steps) - 1)]]
        files = [Path(store.client.download_artifacts(run_id, path, folder)) for path in ends]
        return [np.asarray(Image.open(file).convert("RGB")) / 255 for file in files]
