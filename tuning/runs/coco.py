"""Proto-objects as instances in the format of COCO (Lin et al. 2014), which annotation and detection tools read.

Masks are run lengths down the columns, from the top left, of 0 and of 1 by turns, beginning with 0; uncompressed, so
that they are plain JSON. ``pycocotools`` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.integration.percept import IntegratedPercept
from ciliary.cortex.ops.mask_nms import suppress
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.percept import LeanPercept, Percept
from ciliary.tuning.runs.files import write_page

CATEGORY = {"id": 1, "name": "proto-object"}
#: Share of a pixel at which it is in a mask. Below a half, so that masks overlap where the percept is in doubt.
LEAST_SHARE = 1 / 3
_LEAST_SCORE = 0.01  # dead slots have none


def encode_rle(mask: np.ndarray) -> dict[str, list[int]]:
    """``{"size": [H, W], "counts": [...]}`` of a mask (H, W) bool."""
    flat = np.asarray(mask, bool).ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]]))
    counts = [0, *runs] if flat.size and flat[0] else [*runs]
    return {"size": [int(n) for n in mask.shape], "counts": [int(n) for n in counts]}


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """The mask (H, W) bool of such run lengths.

    Raises:
        ValueError: they do not fill the size.
    """
    height, width = rle["size"]
    counts = np.asarray(rle["counts"], np.int64)
    if counts.sum() != height * width or (counts < 0).any():
        raise ValueError(f"expected runs of {height * width} pixels in all, got {counts.sum()}")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape((height, width), order="F")


def box_of(mask: np.ndarray) -> list[int]:
    """``[x, y, width, height]`` in pixels of a mask (H, W) bool; all 0 where it is empty."""
    if not mask.any():
        return [0, 0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]


@torch.no_grad()
def scores_of(percept: AbstractPercept) -> Tensor:
    """(B, S) in [0, 1], how much of an object each mask is.

    Objectness, of a cortex's percept. Of many looks together, how far they agree with the segment: the mean of 1 -
    uncertainty in it. Of another perceiver's, 1.
    """
    if isinstance(percept, (Percept, LeanPercept)):
        return percept.m4.objectness
    masks = percept.masks
    if isinstance(percept, IntegratedPercept):
        certain = (masks * (1 - percept.uncertainty)).sum((2, 3))
        return certain / masks.sum((2, 3)).clamp_min(1e-6)
    return masks.new_ones(masks.shape[:2])


@torch.no_grad()
def coco_page(
    percept: AbstractPercept, size: tuple[int, int], *, file_name: str, max_iou: float = 0.5
) -> dict[str, Any]:
    """A data set of one image: its proto-objects, highest score first, overlapping ones suppressed.

    Args:
        percept: of one image.
        size: (height, width) of the image itself, at which masks are given.
        file_name: of the image.
        max_iou: overlap above which the mask of the lower score goes.
    """
    masks, score = percept.masks.detach(), scores_of(percept)
    kept = suppress(masks >= LEAST_SHARE, score, max_iou=max_iou) & (score > _LEAST_SCORE)
    annotations: list[dict[str, Any]] = []
    for s in score[0].argsort(descending=True, stable=True).tolist():
        if not bool(kept[0, s]):
            continue
        whole = F.interpolate(masks[:1, s : s + 1], size=size, mode="bilinear", align_corners=False)
        mask = (whole[0, 0] >= LEAST_SHARE).cpu().numpy()
        if mask.any():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 1,
                    "category_id": CATEGORY["id"],
                    "segmentation": encode_rle(mask),
                    "area": int(mask.sum()),
                    "bbox": box_of(mask),
                    "iscrowd": 0,
                    "score": round(float(score[0, s]), 6),
                }
            )
    image = {"id": 1, "file_name": file_name, "height": size[0], "width": size[1]}
    return {"images": [image], "annotations": annotations, "categories": [CATEGORY]}


def joined(pages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Data sets as one: images and annotations numbered anew, in their order."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for page in pages:
        number = {one["id"]: len(images) + i + 1 for i, one in enumerate(page["images"])}
        images += [{**one, "id": number[one["id"]]} for one in page["images"]]
        for one in page["annotations"]:
            annotations.append({**one, "id": len(annotations) + 1, "image_id": number[one["image_id"]]})
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def save_coco(folder: Path, stem: str, percept: AbstractPercept, size: tuple[int, int], *, file_name: str) -> Path:
    """Write ``<stem>.coco.json`` of one image."""
    return write_page(folder / f"{stem}.coco.json", coco_page(percept, size, file_name=file_name))


def join_files(paths: Iterable[str | Path], path: Path) -> Path:
    """Write one file of many; those that are gone are left out."""
    there = [Path(one) for one in paths if Path(one).is_file()]
    return write_page(path, joined(json.loads(one.read_text(encoding="utf-8")) for one in there))
