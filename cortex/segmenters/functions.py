"""Segmentations that everybody has, as functions: an image (H, W, 3) of float in [0, 1] to a label map (H, W).

Sizes are in pixels of the image given. Each is written once: as a perceiver (:mod:`ciliary.cortex.segmenters.shipped`)
and as a peer that the cortex is compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage import graph
from skimage.color import rgb2lab
from skimage.filters import gaussian, sobel
from skimage.measure import label
from skimage.morphology import h_minima
from skimage.segmentation import felzenszwalb, quickshift, slic, watershed
from skimage.transform import resize

Pixels = np.ndarray[Any, np.dtype[Any]]

_QUICKSHIFT_REDUCTION = 4  # its time grows with the square of the kernel, which is in pixels
_GRADIENT_STEP = 0.01  # of Lab per pixel, far below what can be seen


def one_region(image: Pixels) -> Pixels:
    """The whole image as one region: the score of knowing nothing."""
    return np.zeros(image.shape[:2], dtype=np.int64)


def segment_felzenszwalb(image: Pixels, *, scale: float, min_size_px: float, sigma_px: float) -> Pixels:
    """Graph merging (Felzenszwalb & Huttenlocher 2004): ``scale`` sets the size of segments."""
    return np.asarray(felzenszwalb(image, scale=scale, sigma=sigma_px, min_size=int(min_size_px), channel_axis=-1))


def segment_slic(image: Pixels, *, n_segments: float, compactness: float) -> Pixels:
    """k-means of colour (Lab) and place (Achanta et al. 2012)."""
    labels = slic(image, n_segments=int(n_segments), compactness=compactness, start_label=0, channel_axis=-1)
    return np.asarray(labels)


def segment_slic_merged(image: Pixels, *, n_superpixels: int, compactness: float, merge_threshold: float) -> Pixels:
    """SLIC superpixels, of which neighbours merge whose mean Lab colours differ by less than ``merge_threshold``.

    Args:
        image: (H, W, 3) float in [0, 1].
        n_superpixels: about how many there are before merging.
        compactness: weight of place beside colour.
        merge_threshold: Delta E (CIE 1976) under which two neighbours are one; the closest pair merges first.
    """
    superpixels = segment_slic(image, n_segments=n_superpixels, compactness=compactness)
    if superpixels.max() == 0:
        return superpixels
    adjacency = graph.rag_mean_color(rgb2lab(image), superpixels)
    merged = graph.merge_hierarchical(
        superpixels,
        adjacency,
        thresh=merge_threshold,
        rag_copy=False,
        in_place_merge=True,
        merge_func=_merge_means,
        weight_func=_difference_of_means,
    )
    return np.asarray(merged)


def _merge_means(adjacency: Any, source: int, target: int) -> None:
    """The mean colour of two nodes made one is that of all their pixels."""
    one, other = adjacency.nodes[source], adjacency.nodes[target]
    other["total color"] += one["total color"]
    other["pixel count"] += one["pixel count"]
    other["mean color"] = other["total color"] / other["pixel count"]


def _difference_of_means(adjacency: Any, source: int, target: int, neighbour: int) -> dict[str, float]:
    del source
    between = adjacency.nodes[target]["mean color"] - adjacency.nodes[neighbour]["mean color"]
    return {"weight": float(np.linalg.norm(between))}


def segment_watershed(image: Pixels, *, depth: float, sigma_px: float) -> Pixels:
    """Watershed of the gradient of Lab, flooded from the basins deeper than ``depth`` (Beucher & Meyer 1993).

    Args:
        image: (H, W, 3) float in [0, 1].
        depth: dynamics below which a minimum is no basin of its own, in units of Lab per pixel.
        sigma_px: blur before the gradient.
    """
    lab = gaussian(rgb2lab(image), sigma=sigma_px, channel_axis=-1)
    gradient = np.sqrt(sum(sobel(lab[..., c]) ** 2 for c in range(3)))
    # In whole steps: in floats, rounding makes h_minima lose basins.
    steps = np.rint(gradient / _GRADIENT_STEP).astype(np.int32)
    return np.asarray(watershed(steps, label(h_minima(steps, max(1, round(depth / _GRADIENT_STEP))))))


def segment_quickshift(image: Pixels, *, kernel_size_px: float, max_dist: float) -> Pixels:
    """Mode seeking in Lab and place (Vedaldi & Soatto 2008), on a quarter of the size, which it needs to be quick.

    ``kernel_size_px`` and ``max_dist`` are in pixels of the reduced image; labels are brought back by nearest
    neighbour.
    """
    height, width = image.shape[:2]
    small = (max(1, round(height / _QUICKSHIFT_REDUCTION)), max(1, round(width / _QUICKSHIFT_REDUCTION)))
    reduced = resize(image, small, order=1, anti_aliasing=True)
    labels = quickshift(reduced, kernel_size=kernel_size_px, max_dist=max_dist, ratio=1.0, rng=0, channel_axis=-1)
    rows = np.arange(height) * small[0] // height
    columns = np.arange(width) * small[1] // width
    return np.asarray(labels[rows[:, None], columns])
