"""From fields to pictures: arrays in, (H, W, 3) in [0, 1] out. Nothing here knows of pages or of matplotlib's axes."""

from __future__ import annotations

import colorsys
import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, hsv_to_rgb, to_rgb
from scipy.ndimage import distance_transform_edt
from skimage.measure import label as measure_parts
from skimage.segmentation import find_boundaries
from torch import Tensor

from ciliary.cortex.percept import N_ORIENTATIONS, M1Out

_FINE = 4  # region borders are drawn on a grid this much finer than the percept, so that they are thin lines
_FINE_PX = 576  # long side on which outlines are drawn, so that they are thin lines
_LEAST = 1e-3  # contrast under which there is only rounding to amplify
_LEAST_ENERGY = 0.01  # likewise of oriented energy: half strength is at 0.04 to 0.06
LEAST_SEEN = 0.06  # of a map, drawn dark on light: paler is nothing to the eye
_APART = 0.25  # distance of colours in RGB from which they are told apart at a glance
_ALIKE = 0.1  # the same of regions that lie apart: nearer than this they look like islands of one
_TINTS = ("#f4a11d", "#2f7fd0", "#3aa657", "#b54bc4", "#e0423c", "#20b8b8")  # of regions that would look alike
_TINT_SHARES = (0.5, 0.8)
_SHADES = ((1.0, 0.0), (0.6, 0.0), (0.6, 0.4))  # times and plus, of a tint: as it is, darker, lighter
RED_GREEN = ("#2c8a57", "white", "#c0392f")
BLUE_YELLOW = ("#c9a21f", "white", "#2f5fb0")
OFF_ON = ("#3c4a86", "white", "#d2601a")


def as_picture(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] to (H, W, 3)."""
    return np.asarray(np.clip(image.detach().permute(1, 2, 0).numpy(), 0, 1))


def grey(field: Tensor, low: float, high: float) -> np.ndarray:
    """A field (H, W) as grey, ``low`` black and ``high`` white."""
    value = np.clip((field.detach().numpy() - low) / max(high - low, _LEAST), 0, 1)
    return np.repeat(value[..., None], 3, 2)


def limit(field: Tensor, least: float = _LEAST) -> float:
    """Where a picture of a field should end: the 99.5th percentile of its magnitude, and no less than ``least``."""
    return max(float(np.quantile(np.abs(field.detach().numpy()), 0.995)), least)


def is_blank(field: Tensor) -> bool:
    """Whether there is nothing in a field but rounding."""
    return bool(field.detach().abs().max() < _LEAST)


def signed(field: Tensor, colours: tuple[str, str, str], bound: float) -> np.ndarray:
    """A field (H, W) around 0: the first colour at ``-bound``, the second at 0, the third at ``bound``."""
    scale = LinearSegmentedColormap.from_list("signed", colours)
    return scale(np.clip(field.detach().numpy() / bound, -1, 1) / 2 + 0.5)[..., :3]


def strength(field: Tensor, bound: float) -> np.ndarray:
    """A field (H, W) >= 0 in parts of ``bound``, drawn dark on light by :func:`~ciliary.cortex.plot.style.picture`."""
    return np.clip(field.detach().numpy() / bound, 0, 1)


def hues(orientation_rad: np.ndarray) -> np.ndarray:
    """Hue in [0, 1) of an orientation: once around the colours in pi; 0 rad (along x) is red, y points down."""
    return np.mod(orientation_rad / math.pi, 1.0)


def orientation_picture(m1: M1Out) -> np.ndarray:
    """Hue is the dominant orientation of the contour (:func:`hues`), brightness its strength; a batch of one."""
    orientation = m1.orientation[0, 0].detach().numpy()
    value = strength(oriented_strength(m1), limit(oriented_strength(m1), _LEAST_ENERGY))
    return hsv_to_rgb(np.stack([hues(orientation), np.full_like(value, 0.85), value], -1))


def oriented_strength(m1: M1Out) -> Tensor:
    """(H, W): root of the mean square over scales of V1's energy, at the strongest orientation; a batch of one."""
    return _by_scale(m1).square().mean(0).amax(0).sqrt()


def energy_scales(m1: M1Out) -> Tensor:
    """(A, H, W): mean over orientations of V1's energy at each scale, finest first; a batch of one."""
    return _by_scale(m1).mean(1)


def _by_scale(m1: M1Out) -> Tensor:
    scales: Tensor = m1.energy[0].detach().unflatten(0, (-1, N_ORIENTATIONS))
    return scales


def region_labels(regions: Tensor) -> np.ndarray:
    """Soft regions (K, H, W) as a label map (H, W) numbered without gaps."""
    return without_gaps(regions.detach().max(0).indices.numpy())


def without_gaps(labels: np.ndarray) -> np.ndarray:
    """The same map with labels 0, 1, ... in the same order."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def regions_picture(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Regions in distinct hues over grey, as the environment draws them, but with thin outlines; enlarged."""
    return paint_labels(*_enlarged(image, without_gaps(labels)))


def outlined(image: np.ndarray, labels: np.ndarray, ink: str = "white") -> np.ndarray:
    """An image (H, W, 3) enlarged, with thin lines between the labels (H, W)."""
    page, fine = _enlarged(image, labels)
    return with_borders(page, find_boundaries(fine, mode="inner", background=-1), ink)


def _enlarged(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    factor = max(1, round(_FINE_PX / max(labels.shape)))
    return image.repeat(factor, 0).repeat(factor, 1), labels.repeat(factor, 0).repeat(factor, 1)


def principal_colours(field: Tensor) -> tuple[np.ndarray, float]:
    """The three principal components of a field (D, H, W) as red, green and blue, and their share of its variance.

    Each component runs from its 1st to its 99th percentile; its sign makes its largest loading positive.
    """
    x = field.detach().double().numpy()
    flat = x.reshape(len(x), -1)
    centred = flat - flat.mean(1, keepdims=True)
    variance, axes = np.linalg.eigh(centred @ centred.T / centred.shape[1])
    axes = axes[:, ::-1][:, :3]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    score = axes.T @ centred
    low, high = np.quantile(score, [0.01, 0.99], axis=1)[..., None]
    colour = np.clip((score - low) / np.maximum(high - low, _LEAST), 0, 1)
    total = max(float(variance.sum()), 1e-30)
    return colour.T.reshape(*x.shape[1:], -1), float(variance[::-1][:3].sum()) / total


def cut_out(image: np.ndarray, mask: np.ndarray, *, margin: float = 0.12) -> np.ndarray:
    """The square of an image (H, W, 3) around a mask (H, W) bool; what is not in the mask fades to grey.

    A square that reaches beyond the image is moved into it, and white where it is too large for that.
    """
    y, x = np.nonzero(mask)
    side = math.ceil((1 + margin) * max(np.ptp(y) + 1, np.ptp(x) + 1))
    faded = np.where(mask[..., None], image, 0.64 + 0.16 * image)  # darker than paper: white things stand out too
    spare = [max(0, side - n) for n in mask.shape]
    padded = np.pad(faded, [(n // 2, n - n // 2) for n in spare] + [(0, 0)], constant_values=1.0)
    top, left = (
        min(max(0, (int(axis.min() + axis.max()) + 1 - side) // 2 + n // 2), whole - side)
        for axis, n, whole in zip((y, x), spare, padded.shape, strict=False)
    )
    return padded[top : top + side, left : left + side]


def innermost(mask: np.ndarray) -> tuple[float, float]:
    """Where (y, x) a number may stand in a mask (H, W) bool: the pixel farthest from its border."""
    far = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(far.argmax(), mask.shape)
    return float(y), float(x)


def paint_regions(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each region in a colour of its own with white borders: image (H, W, 3), labels (H, W) -> (4H, 4W, 3)."""
    fine = labels.repeat(_FINE, 0).repeat(_FINE, 1)
    page = own_colours(image, labels).repeat(_FINE, 0).repeat(_FINE, 1)
    return with_borders(page, find_boundaries(fine, mode="inner", background=-1), "white")


def own_colours(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each region in its mean colour, tinted where a neighbour would look like it, or any other would be taken for it.

    The largest regions are painted first, and keep their mean where they can. A tint has to differ from the neighbours
    painted so far, and should differ from all that is painted.

    Args:
        image: (H, W, 3) in [0, 1].
        labels: (H, W) int, from 0.

    Returns:
        (H, W, 3).
    """
    labels = without_gaps(labels)
    flat, n = labels.ravel(), int(labels.max()) + 1
    n_pixels = np.bincount(flat)
    total = np.stack([np.bincount(flat, weights=channel.ravel()) for channel in np.moveaxis(image, -1, 0)], -1)
    mean = total / n_pixels[:, None]
    sides = np.zeros((n, n), dtype=bool)
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        sides[one, other] = sides[other, one] = True
    tints = np.array([to_rgb(tint) for tint in _TINTS])
    painted, is_painted = mean.copy(), np.zeros(n, dtype=bool)
    for i in np.argsort(-n_pixels, kind="stable"):
        around, all_others = painted[sides[i] & is_painted], painted[is_painted]
        if _least_distances(mean[[i]], around)[0] < _APART or _least_distances(mean[[i]], all_others)[0] < _ALIKE:
            mixed = np.concatenate([(1 - share) * mean[i] + share * tints for share in _TINT_SHARES])
            choice = np.concatenate([times * mixed + plus for times, plus in _SHADES])
            near, far = (_least_distances(choice, others) for others in (around, all_others))
            painted[i] = choice[np.argmax(np.minimum(near, _APART) + 0.5 * np.minimum(far, _APART) + 0.1 * far)]
        is_painted[i] = True
    return np.asarray(painted[labels])


def _least_distances(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From each colour (M, 3) to the nearest of others (N, 3), (M,); nine without any, farther than colours are."""
    apart = np.linalg.norm(others[None] - colours[:, None], axis=2)
    return np.asarray(apart.min(1, initial=9.0))


def with_borders(picture: np.ndarray, borders: np.ndarray, ink: str) -> np.ndarray:
    """The picture (H, W, 3) in [0, 1] with its border pixels (H, W) bool in one colour."""
    page: np.ndarray = picture.copy()
    page[borders] = to_rgb(ink)
    return page


def count_regions(labels: np.ndarray) -> str:
    """Such as ``12 regions``, or ``6 regions in 15 parts``: a region may lie apart."""
    n_regions = len(np.unique(labels))
    n_parts = int(measure_parts(labels, background=-1, connectivity=1).max())
    words = f"{n_regions} region{'s' if n_regions != 1 else ''}"
    return f"{words} in {n_parts} parts" if n_parts > n_regions else words


def paint_labels(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Segments in distinct hues over a grey version of the image, with dark outlines.

    Args:
        pixels: (H, W, 3) in [0, 1].
        labels: (H, W) int, from 0.

    Returns:
        (H, W, 3) float in [0, 1].
    """
    # steps of the golden ratio keep any number of hues apart
    hues = (0.08 + 0.618034 * np.arange(labels.max() + 1)) % 1
    palette = np.array([colorsys.hls_to_rgb(hue, 0.55, 0.75) for hue in hues])
    grey = pixels.mean(axis=2, keepdims=True)
    painted: np.ndarray = 0.65 * palette[labels] + 0.35 * grey
    outline = np.zeros(labels.shape, dtype=bool)
    outline[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    outline[1:] |= labels[1:] != labels[:-1]
    painted[outline] *= 0.25
    return np.asarray(painted)
