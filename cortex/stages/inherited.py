"""The stages that a cortex inherits: contours that people taught, and a hierarchy by what people keep together.

Two kinds: ``contours`` sees the image alone, ``all`` the maps of a frozen trunk too. Their weights come with the
project and saw people's drawings; what was learned without labels is in :mod:`ciliary.cortex.stages.weights`.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ciliary.cortex.options import INHERITED, INHERITED_TRUNK
from ciliary.cortex.stages.contour_net import for_inference
from ciliary.cortex.stages.m1_taught import TaughtM1
from ciliary.cortex.stages.m2_taught import TaughtM2
from ciliary.cortex.stages.m3_basins import BasinM3
from ciliary.cortex.stages.m4_basins import BasinM4
from ciliary.cortex.stages.weights import FOLDER, fill, provenance

#: The trunk that ``all`` was taught on, and its widths.
TRUNK = INHERITED_TRUNK
TRUNK_WIDTHS = (16, 24, 32)


def shipped(kind: str) -> Path:
    """The file of a kind that comes with the project."""
    return FOLDER / f"inherited_{kind}.safetensors"


def left_out_path(folder: Path, kind: str, fold: int) -> Path:
    """The file of a teaching's folder with the stages that were taught without the images of a fold."""
    return folder / f"{shipped(kind).stem}_without_{fold}.safetensors"


def left_out(folder: Path, kind: str) -> dict[str, Path]:
    """Image that was taught on -> file of stages that were taught without it, of a teaching's folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a file holds something else.
    """
    paths = sorted(Path(folder).glob(left_out_path(Path(), kind, 0).name.replace("_0.", "_*.")))
    found = {name: path for path in paths for name in provenance(path).get("left_out", ())}
    if not found:
        raise FileNotFoundError(
            f"no {kind} taught without some of its images in {folder}; teach it with: ciliary train cortex --labelled"
        )
    return found


def make_inherited(kind: str) -> dict[str, nn.Module]:
    """The stages of a kind, untaught; none for ``none``.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in INHERITED:
        raise ValueError(f"unknown kind of inheritance {kind!r}; choose from {', '.join(INHERITED)}")
    if kind == "none":
        return {}
    widths = TRUNK_WIDTHS if kind == "all" else ()
    return {"m1": TaughtM1(widths), "m2": TaughtM2(widths), "m3": BasinM3(), "m4": BasinM4()}


def load_inherited(kind: str, path: Path | str | None = None) -> dict[str, nn.Module]:
    """The stages of a kind with their weights, in eval mode and frozen.

    Args:
        kind: of :data:`~ciliary.cortex.options.INHERITED`.
        path: of the weights; those that come with the project when None.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown kind; the file holds something else, or lacks a stage.
    """
    stages = make_inherited(kind)
    if stages:
        fill(stages, shipped(kind) if path is None else Path(path), "teach one with: ciliary train cortex --labelled")
        contours = stages["m2"]
        assert isinstance(contours, TaughtM2)
        contours.net = for_inference(contours.net)
    return stages
