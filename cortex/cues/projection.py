"""What a network's channels are reduced to: fixed whitened principal components, and the file they are in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

PARTS = ("mean", "axes", "scale")
PACKAGED = "efficientnet_lite0"  # the model whose projection comes with the project
SHIPPED = Path(__file__).parents[1] / "weights" / f"trunk_{PACKAGED}.safetensors"


@dataclass(frozen=True)
class Projection:
    """Whitened principal components of each stage over training photographs; the same axes for all images.

    Attributes:
        mean: (C,) of each stage, over the cells of the photographs.
        axes: (n, C) of each stage, in falling order of variance; a component ``axes @ (x - mean)`` has unit variance.
        scale: (k,) of each stage, k <= n: factors of the leading components in the full-size map, so that the map's
            variance over a photograph is 1 on average, and each stage's an equal share of it.
        about: where it comes from, JSON types.
    """

    mean: tuple[Tensor, ...]
    axes: tuple[Tensor, ...]
    scale: tuple[Tensor, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        is_fit = len(self.mean) == len(self.axes) == len(self.scale) > 0 and all(
            m.ndim == s.ndim == 1 and a.shape[1:] == m.shape and len(s) <= len(a)
            for m, a, s in zip(self.mean, self.axes, self.scale, strict=True)
        )
        if not is_fit:
            shapes = {part: [tuple(x.shape) for x in getattr(self, part)] for part in PARTS}
            raise ValueError(f"expected mean (C,), axes (n, C) and scale (k,) of each stage, k <= n, got {shapes}")

    @property
    def channels(self) -> tuple[int, ...]:
        """C of each stage."""
        return tuple(len(x) for x in self.mean)


def find_projection(name: str, weights: Path | str | None = None) -> Path:
    """Where the projection of a model is, or is to be.

    The packaged model's comes with the project; others lie in ``$CILIARY_PROJECTIONS``, or else in
    ``ciliary/projections`` of the user's caches (``$XDG_CACHE_HOME``, ``~/.cache``).

    Args:
        name: of the model.
        weights: file that its weights are from: other weights have other axes, so a mark of it is in the name.
    """
    if name == PACKAGED and weights is None:
        return SHIPPED
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ciliary" / "projections"
    folder = Path(os.environ.get("CILIARY_PROJECTIONS") or caches)
    return folder / f"{name}{'' if weights is None else '-' + file_mark(Path(weights))}.safetensors"


def file_mark(path: Path) -> str:
    """Twelve hex digits of what is in a file. ``FileNotFoundError`` if there is none."""
    state = path.stat()
    return _mark(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _mark(path: Path, size: int, time_ns: int) -> str:
    """Reads a file of gigabytes once, not once an episode."""
    del size, time_ns
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            total.update(block)
    return total.hexdigest()[:12]


def load_projection(path: Path, channels: Sequence[int] | None = None) -> Projection:
    """Read a projection.

    Args:
        path: a file of :func:`projection_to_bytes`.
        channels: of the network it is to be for; not checked when None.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it holds something else, or is of another network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a projection at {path}, found no such file")
    try:
        with safe_open(str(path), "pt") as file:
            names = set(file.keys())
            n_stages = len(names) // len(PARTS)
            if names != {f"{part}.{i}" for part in PARTS for i in range(n_stages)} or not names:
                raise ValueError(f"it holds {', '.join(sorted(names)) or 'nothing'}")
            mean, axes, scale = (
                tuple(file.get_tensor(f"{part}.{i}").float() for i in range(n_stages)) for part in PARTS
            )
            found = Projection(mean, axes, scale, json.loads((file.metadata() or {}).get("about", "{}")))
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{path} is not a projection ({error}); fit it anew with ciliary train features") from error
    if not all(bool(torch.isfinite(x).all()) for part in (found.mean, found.axes, found.scale) for x in part):
        raise ValueError(f"{path} holds values that are not finite; fit it anew with ciliary train features")
    if channels is not None and found.channels != tuple(channels):
        raise ValueError(
            f"{path} is of a network with {found.channels} channels, this one has {tuple(channels)}; "
            "fit it anew with ciliary train features"
        )
    return found


def projection_to_bytes(projection: Projection) -> bytes:
    """The file of a projection: safetensors, ``mean.0`` and so on, with where it comes from."""
    tensors = {f"{part}.{i}": x.contiguous() for part in PARTS for i, x in enumerate(getattr(projection, part))}
    return save(tensors, {"about": json.dumps(dict(projection.about))})
