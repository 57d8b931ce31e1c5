"""Layers of napari: those that are looked at, and those that a percept is shown in, made once and kept up with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine

from ciliary.tuning.napari_plugin.slices import Cut, Source, cut, level_of, taken

if TYPE_CHECKING:
    from ciliary.tuning.napari_plugin.desk import Maps

MARK = "ciliary"  # in the metadata of a layer that is ours
_LOOKS: dict[str, dict[str, Any]] = {
    "regions": {"opacity": 0.6},
    "boundary": {"colormap": "gray", "blending": "additive", "contrast_limits": (0, 1), "opacity": 0.8},
    "disagreement": {"colormap": "inferno", "blending": "additive", "contrast_limits": (0, 1), "opacity": 0.8},
}


def images_of(viewer: Any) -> list[Any]:
    """The image layers that can be looked at: all but those that a percept is shown in."""
    return [layer for layer in viewer.layers if isinstance(layer, Image) and MARK not in layer.metadata]


def source_of(viewer: Any, layer: Any, long_side_px: int, *, is_shown: bool = False) -> Source:
    """What of an image layer is in front.

    Args:
        viewer: or its model.
        layer: grey or RGB, flat or a stack, one array or a pyramid of them.
        long_side_px: that will be seen: which level of a pyramid is enough for it.
        is_shown: whether grey values are taken between its contrast limits.

    Raises:
        ValueError: it has fewer than two axes.
    """
    levels, n = [*layer.data] if layer.multiscale else [layer.data], layer.ndim
    shapes = [level.shape[:n] for level in levels]
    dims = viewer.dims
    place = cut(shapes[0], dims.order, layer.world_to_data(dims.point[-n:]))
    data = levels[level_of(shapes, place, long_side_px)]
    limits = (float(layer.contrast_limits[0]), float(layer.contrast_limits[1])) if is_shown and not layer.rgb else None
    path = layer.source.path if n == 2 and not layer.multiscale else None
    load = partial(taken, data, place, full=shapes[0])
    return Source(str(layer.name), place, load, limits, None if path is None else Path(path))


def show(viewer: Any, image: Any, place: Cut, maps: Maps, *, has_boundary: bool) -> None:
    """Show maps over the slice of an image layer that they were made of, in its layers; those with nothing to show go.

    Args:
        viewer: or its model.
        image: the layer that was looked at.
        place: its slice.
        maps: of the percept.
        has_boundary: whether the boundary has a layer, too.
    """
    _bring(viewer, image, place, "disagreement", maps.disagreement, maps)
    _bring(viewer, image, place, "boundary", maps.boundary if has_boundary else None, maps)
    _bring(viewer, image, place, "regions", maps.labels, maps)


def find(viewer: Any, image: Any, role: str) -> Any:
    """The layer that shows ``regions``, ``boundary`` or ``disagreement`` of an image layer, or None."""
    wanted = (role, str(image.unique_id))
    for layer in viewer.layers:
        about = layer.metadata.get(MARK, {})
        if (about.get("role"), about.get("of")) == wanted:
            return layer
    return None


def _bring(viewer: Any, image: Any, place: Cut, role: str, flat: np.ndarray | None, maps: Maps) -> None:
    layer = find(viewer, image, role)
    if flat is None:
        if layer is not None:
            viewer.layers.remove(layer.name)
        return
    data, where = place.whole(flat), _where(image, place, flat.shape)
    about = {MARK: {"role": role, "of": str(image.unique_id), "settings": dict(maps.page)}}
    if layer is None:
        kind = Labels if role == "regions" else Image
        made = kind(data, name=f"{image.name} {role}", metadata=about, **_LOOKS[role], **_kept(image), **where)
        front = viewer.layers.selection.active
        viewer.add_layer(made)
        if front is not None:  # who works on a layer goes on with it
            viewer.layers.selection.active = front
        return
    layer.data, layer.metadata = data, {**layer.metadata, **about}
    for name, value in where.items():
        if not np.allclose(getattr(layer, name), value):
            setattr(layer, name, value)


def _where(image: Any, place: Cut, size: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Scale and translation of a layer of that many pixels, over the slice of the image."""
    linear = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear, ndim=image.ndim)
    return {
        "scale": np.asarray(image.scale) * place.steps(size),
        "translate": np.asarray(image.translate) + np.asarray(linear(place.corner(size))),
    }


def _kept(image: Any) -> dict[str, Any]:
    """What the layers have of the image as it is."""
    return {name: getattr(image, name) for name in ("rotate", "shear", "affine", "units", "axis_labels")}
