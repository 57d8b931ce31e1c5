"""The job of measuring the homeostat's loops: a folder of photographs in, a table with provenance out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.controllers.homeostat import SHIPPED
from ciliary.agents.training.homeostat_fit import ReflexSettings, measure_reflexes
from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device
from ciliary.envs.data.sources import folder as read_folder
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions


def train_reflex(
    images: Path,
    *,
    out: Path = SHIPPED,
    size_px: int = 128,
    n_images: int = 40,
    cortex: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure the loops on a folder of photographs and write the table.

    Args:
        images: root of BSDS500 (its training photographs are taken), or a folder of images.
        out: JSON file to write.
        size_px: long side at which the cortex looks.
        n_images: so many of them, evenly spaced in name order; all if there are fewer.
        cortex: keyword arguments of the cortex that looks.
        device: where it lies.

    Returns:
        the table, as :func:`measure_reflexes`, with its ``provenance``.
    """
    inner = images / "images" / "train"
    is_bsds = inner.is_dir()
    source = read_folder(inner if is_bsds else images, size_px)
    n = min(n_images, len(source))
    chosen = [source[i] for i in np.linspace(0, len(source), n, endpoint=False).astype(int)]
    settings = ReflexSettings()
    height, width = chosen[0].image.shape[-2:] if chosen else (0, 0)
    seer = Cortex(**(cortex or {})).to(choose_device(device))
    table = measure_reflexes(chosen, settings=settings, cortex=seer)
    table["provenance"] = {
        "data": "BSDS500 train" if is_bsds else images.name,
        "n_images": len(chosen),
        "size_px": max(height, width),
        "date": date.today().isoformat(),
        "cortex": dict(cortex or {}),
        "settings": asdict(settings),
        "versions": versions(),
    }
    write_atomically(out, json.dumps(table, indent=1).encode() + b"\n")
    return table
