"""What other programs read: the label map, the boundary map and the JSON of each image (``--save``)."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ciliary.cortex.percept import Percept

_BAND_ROWS = 512  # so that a photograph of 100 megapixels costs little more than its own map


def write_atomically(path: Path, data: bytes) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a part. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes files which only their owner reads
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def label_image(percept: Percept, size: tuple[int, int]) -> Image.Image:
    """The final segmentation of a single percept as 16-bit grey (``I;16``), labels 0, 1, ... at ``size`` (H, W)."""
    labels = percept.labels(size)[0]
    return Image.fromarray(labels.numpy().astype(np.uint16))


def boundary_image(percept: Percept, size: tuple[int, int]) -> Image.Image:
    """The final boundary map, M2's contour, as 8-bit grey at ``size`` (H, W); 255 is strength 1. Bilinear."""
    contour = percept.m2.contour[0, 0].detach().clamp(0, 1).numpy().astype(np.float32)
    height, width = size
    source = Image.fromarray(contour)
    page = np.empty((height, width), np.uint8)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        box = (0, top * source.height / height, source.width, bottom * source.height / height)
        band = np.asarray(source.resize((width, bottom - top), Image.Resampling.BILINEAR, box=box))
        page[top:bottom] = np.rint(np.clip(band, 0, 1) * 255)
    return Image.fromarray(page)


def save_episode(
    folder: Path, stem: str, *, percept: Percept, size: tuple[int, int], summary: Mapping[str, Any]
) -> dict[str, str]:
    """Write ``<stem>.labels.png``, ``<stem>.boundary.png`` and ``<stem>.json``; returns role -> path.

    The JSON comes last: where it is, the maps are.
    """
    labels, boundary = folder / f"{stem}.labels.png", folder / f"{stem}.boundary.png"
    write_atomically(labels, _png(label_image(percept, size)))
    write_atomically(boundary, _png(boundary_image(percept, size)))
    text = json.dumps({**summary, "labels": labels.name, "boundary": boundary.name}, indent=1, ensure_ascii=False)
    page = write_atomically(folder / f"{stem}.json", text.encode() + b"\n")
    return {"labels": str(labels), "boundary": str(boundary), "json": str(page)}


def summary_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an episode's record that goes into ``<stem>.json``: everything but its history."""
    first = ("controller", "disturbance", "seed", "parameters", "before", "after", "seconds")
    rest = ("image", "path", "original_size", "notes", "n_trials", "n_evaluations", "guard", "ending", "versions")
    return {name: record[name] for name in (*first, *rest)}


def plan_stems(names: Iterable[str], disturbances: Iterable[str]) -> list[dict[str, str]]:
    """A file stem for each image (in order) and disturbance, no two alike, not even where case does not count.

    One disturbance: ``<name>``. More: ``<name>__<disturbance>_<severity>`` (``<name>__none``). A repeated stem gets
    ``_2``, ``_3``, ...
    """
    disturbances = list(disturbances)
    taken: set[str] = set()
    plan = []
    for name in names:
        row = {}
        for disturbance in disturbances:
            stem = name if len(disturbances) == 1 else f"{name}__{disturbance.replace(':', '_')}"
            candidate, n = stem, 1
            while candidate.casefold() in taken:
                n += 1
                candidate = f"{stem}_{n}"
            taken.add(candidate.casefold())
            row[disturbance] = candidate
        plan.append(row)
    return plan


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
