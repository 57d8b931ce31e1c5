"""What other programs read: the label map, the boundary map and the JSON of each image (``--save``)."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ciliary.cortex.integration.percept import IntegratedPercept
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.envs.data.opening import SOFTWARE, is_signed
from ciliary.tuning.runs.places import NotWritable as NotWritable
from ciliary.tuning.runs.places import check_writable as check_writable
from ciliary.tuning.runs.places import try_place as try_place

_SIGN = "made_by"  # in our JSONs, by which we know them again; HTML has it as its generator
#: In the head of our pages.
GENERATOR = f'<meta name="generator" content="{SOFTWARE}">'
_MOST_BYTES = 180  # of a stem: with our ends, and in a temporary name, it stays under the 255 of file systems
_MOST_LOOKED_AT_PX = 1024  # long side of what is to be looked at
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
        Path(name).chmod(0o644)  # mkstemp makes files which only their owner reads
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def write_page(path: Path, page: Mapping[str, Any]) -> Path:
    """Write a JSON, signed so that it is known for ours (:func:`is_own`)."""
    text = json.dumps({**page, _SIGN: SOFTWARE}, indent=1, ensure_ascii=False)
    return write_atomically(path, text.encode("utf-8", "replace") + b"\n")


def label_image(percept: AbstractPercept, size: tuple[int, int]) -> Image.Image:
    """The final segmentation of a single percept as 16-bit grey (``I;16``), labels 0, 1, ... at ``size`` (H, W)."""
    labels = percept.labels(size)[0]
    return Image.fromarray(labels.numpy().astype(np.uint16))


def map_image(field: Tensor, size: tuple[int, int]) -> Image.Image:
    """A map (1, 1, h, w) in [0, 1], such as the boundary, as 8-bit grey at ``size`` (H, W); 255 is 1. Bilinear."""
    contour = field[0, 0].detach().clamp(0, 1).numpy().astype(np.float32)
    height, width = size
    source = Image.fromarray(contour)
    page = np.empty((height, width), np.uint8)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        box = (0, top * source.height / height, source.width, bottom * source.height / height)
        band = np.asarray(source.resize((width, bottom - top), Image.Resampling.BILINEAR, box=box))
        page[top:bottom] = np.rint(np.clip(band, 0, 1) * 255)
    return Image.fromarray(page)


def regions_image(percept: AbstractPercept, image: Tensor, size: tuple[int, int]) -> Image.Image:
    """The final segmentation of a single percept to be looked at, coloured as in figures, by the image (3, h, w).

    At ``size`` (H, W), but not above :data:`_MOST_LOOKED_AT_PX`.
    """
    from skimage.segmentation import find_boundaries

    from ciliary.cortex.plot.paint import own_colours, with_borders  # brings matplotlib

    scale = min(1.0, _MOST_LOOKED_AT_PX / max(size))
    height, width = (max(1, round(side * scale)) for side in size)
    pixels = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0].movedim(0, -1)
    labels = percept.labels((height, width))[0].numpy()
    painted = with_borders(own_colours(pixels.numpy(), labels), find_boundaries(labels, mode="inner"), "white")
    return Image.fromarray(np.rint(np.clip(painted, 0, 1) * 255).astype(np.uint8))


def save_episode(
    folder: Path,
    stem: str,
    *,
    percept: AbstractPercept,
    image: Tensor,
    size: tuple[int, int],
    summary: Mapping[str, Any],
) -> dict[str, str]:
    """Write ``<stem>.labels.png``, ``.boundary.png``, ``.regions.png`` (to be looked at), ``.json``; role -> path.

    Of an integrated percept also ``<stem>.uncertainty.png``, 8-bit grey.

    The JSON comes last: where it is, the maps are.
    """
    labels, boundary, page, uncertainty, instances, regions = (folder / name for name in _names(stem))
    maps = {
        "labels": (labels, label_image(percept, size)),
        "boundary": (boundary, map_image(percept.boundary, size)),
        "regions": (regions, regions_image(percept, image, size)),
    }
    if isinstance(percept, IntegratedPercept):
        maps["uncertainty"] = uncertainty, map_image(percept.uncertainty, size)
    elif is_own(page):
        uncertainty.unlink(missing_ok=True)  # of an earlier answer
    if is_own(instances):
        instances.unlink()  # likewise
    for path, drawn in maps.values():
        write_atomically(path, _png(drawn))
    text = json.dumps(
        {**summary, **{role: path.name for role, (path, _) in maps.items()}}, indent=1, ensure_ascii=False
    )
    write_atomically(page, text.encode() + b"\n")
    return {role: str(path) for role, (path, _) in maps.items()} | {"json": str(page)}


def save_map(field: Tensor, size: tuple[int, int], path: Path) -> Path:
    """Write a map (1, 1, h, w) in [0, 1] as 8-bit grey PNG at ``size`` (H, W)."""
    return write_atomically(path, _png(map_image(field, size)))


def save_values(values: np.ndarray, path: Path) -> Path:
    """Write whole numbers (H, W) as grey PNG: 8 bits where they fit, else 16.

    Raises:
        ValueError: a number below 0, or of more than 16 bits.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ValueError(f"expected numbers 0 .. 65535 for a map, got {low} .. {high}")
    kind = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    return write_atomically(path, _png(Image.fromarray(values.astype(kind))))


def summary_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an episode's record that goes into ``<stem>.json``: everything but its history."""
    first = ("answer", "controller", "disturbance", "seed", "parameters", "before", "after", "seconds")
    rest = ("image", "path", "original_size", "notes", "n_trials", "n_evaluations", "guard", "ending", "versions")
    return {name: record[name] for name in (*first, *rest)}


def plan_stems(
    names: Iterable[str], disturbances: Iterable[str], folder: Path | None = None, ends: Sequence[str] | None = None
) -> list[dict[str, str]]:
    """A file stem for each image (in order) and disturbance, no two alike, not even where case does not count.

    One disturbance: ``<name>``. More: ``<name>__<disturbance>_<severity>`` (``<name>__none``). A repeated stem gets
    ``_2``, ``_3``, ...; so does one by which ``folder`` holds a file that is not ours, such as the user's own
    annotation of that image, or the image. One too long for file systems is cut.

    Args:
        names: of the images.
        disturbances: of each.
        folder: where the files go.
        ends: of the files' names; those of :func:`save_episode` when None.
    """
    disturbances = list(disturbances)
    taken: set[str] = set()
    plan = []
    for name in names:
        row = {}
        for disturbance in disturbances:
            end = "" if len(disturbances) == 1 else f"__{disturbance.replace(':', '_')}"
            base, n = f"{_short(name)}{end}", 1
            stem = base
            while stem.casefold() in taken or (folder is not None and is_foreign(folder, stem, ends)):
                n += 1
                stem = f"{base}_{n}"
            taken.add(stem.casefold())
            row[disturbance] = stem
        plan.append(row)
    return plan


def is_foreign(folder: Path, stem: str, ends: Sequence[str] | None = None) -> bool:
    """Whether writing under this stem would replace somebody else's file; ``ends`` as of :func:`plan_stems`."""
    if ends is None and is_own(folder / f"{stem}.json"):
        return False
    names = _names(stem) if ends is None else [f"{stem}{end}" for end in ends]
    return any(_holds(folder / name) and not is_own(folder / name) for name in names)


def _holds(path: Path) -> bool:
    """Whether there is anything to lose; what is no file is in the way."""
    return os.path.lexists(path) and not (path.is_file() and path.stat().st_size == 0)


def is_own(path: Path) -> bool:
    """Whether Ciliary wrote this JSON, PNG, GIF or HTML; of PNGs, version 0.1 left no sign."""
    if path.suffix in (".png", ".gif"):
        return is_signed(path)
    try:
        if path.suffix == ".html":
            with path.open("rb") as file:
                return GENERATOR.encode() in file.read(1024)
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(summary, dict):
        return False
    return summary.get(_SIGN) == SOFTWARE or {"controller", "parameters", "labels", "boundary"} <= set(summary)


def _short(name: str) -> str:
    """A name as part of a file's: in one folder, and not too long."""
    flat = name.replace(os.sep, "_").replace("\0", "_")
    return flat.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")


def _names(stem: str) -> tuple[str, str, str, str, str, str]:
    ends = ("labels.png", "boundary.png", "json", "uncertainty.png", "coco.json", "regions.png")
    return tuple(f"{stem}.{end}" for end in ends)  # type: ignore[return-value]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sign = PngInfo()
    sign.add_text("Software", SOFTWARE)
    image.save(buffer, "PNG", pnginfo=sign)
    return buffer.getvalue()
