"""Plain merging: the watershed of the inherited contours, merged by their mean strength along borders, and one cut.

The floor for the hierarchy that the cortex makes of the same contours (Arbelaez et al. 2011, without their learned
parts).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from ciliary.cortex.model import Cortex
from ciliary.cortex.ops.agglomerate import cut_at, region_tree
from ciliary.cortex.ops.pair_cost import strength_cost
from ciliary.cortex.ops.region_graph import region_graph
from ciliary.cortex.segmenters.functions import Pixels
from ciliary.cortex.stages.m3_basins import find_basins


@lru_cache(maxsize=1)
def _cortex() -> Cortex:
    return Cortex(inherited="contours").requires_grad_(False)


@torch.no_grad()
def segment_contours(image: Pixels, *, cut: float, size_px: float) -> Pixels:
    """Regions of the inherited contours, as people taught them.

    Args:
        image: (H, W, 3) float in [0, 1].
        cut: mean contour strength up to which two regions are one, in [0, 1].
        size_px: long side at which the contours are looked for.
    """
    cortex = _cortex()
    pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).permute(2, 0, 1)[None].clamp(0, 1)
    h, w = pixels.shape[-2:]
    scale = min(1.0, size_px / max(h, w))
    small = F.interpolate(pixels, size=(round(h * scale), round(w * scale)), mode="bilinear", antialias=True)
    theta = cortex.table.default_theta(1, taught_share=1.0)
    small = small.clamp(0, 1)
    m1 = cortex.m1(cortex.retina(small, theta), cortex.cues(small), theta)
    m2 = cortex.m2(m1, theta)
    basins = find_basins(m1, m2)
    graph = region_graph(basins.label, basins.size.shape[1], m2.contour)
    size = basins.size[0]
    sample = torch.zeros(len(size), dtype=torch.int64)
    tree = region_tree(size[:, None], size, graph, linkage=strength_cost, sample=sample)
    label = cut_at(tree, cut)[basins.label]
    return np.asarray(F.interpolate(label[:, None].float(), size=(h, w), mode="nearest-exact")[0, 0].long())
