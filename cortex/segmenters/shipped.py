"""Perceivers that come with the project beside the cortex: scikit-image's, with described parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ciliary.cortex.segmenters.functions import segment_felzenszwalb, segment_slic_merged, segment_watershed
from ciliary.cortex.segmenters.perceiver import SegmenterPerceiver
from ciliary.cortex.segmenters.work import Segment
from ciliary.cortex.table import Parameter, ParameterTable


def _shipped(name: str, segment: Segment, *rows: Parameter) -> Callable[..., SegmenterPerceiver]:
    return partial(SegmenterPerceiver, segment, ParameterTable(rows), name=name)


_F = "Felzenszwalb & Huttenlocher 2004"
_S = "Achanta et al. 2012"
_W = "Beucher & Meyer 1993"

# fmt: off
#: Perceivers by name; ``SEGMENTERS[name]()`` makes one, ``n_workers=`` may be given. Defaults are those that cover best
#: what people see in BSDS500 training photographs seen at a long side of 192 px, as sessions see them: .582, .558 and
#: .549 (felzenszwalb and watershed on every sixth photograph, slic, which is slower, on every twelfth).
SEGMENTERS: Mapping[str, Callable[..., SegmenterPerceiver]] = {
    "felzenszwalb": _shipped("felzenszwalb", segment_felzenszwalb,
        Parameter("scale", "felzenszwalb", 30.0, 2000.0, 400.0, "1", "log", _F, "Size of segments: the more of it, the more merge."),
        Parameter("min_size_px", "felzenszwalb", 8.0, 800.0, 150.0, "px^2", "log", _F, "Area under which a segment joins a neighbour."),
        Parameter("sigma_px", "felzenszwalb", 0.2, 3.0, 0.6, "px", "log", _F, "Blur before anything else."),
    ),
    "slic": _shipped("slic", segment_slic_merged,
        Parameter("n_superpixels", "slic", 30, 400, 200, "superpixels", "int", _S, "About how many superpixels there are."),
        Parameter("compactness", "slic", 2.0, 60.0, 20.0, "1", "log", _S, "Weight of place beside colour."),
        Parameter("merge_threshold", "slic", 2.0, 60.0, 17.0, "Delta E", "log", "Tremeau & Colantoni 2000", "Neighbours whose mean colours differ by less are one."),
    ),
    "watershed": _shipped("watershed", segment_watershed,
        Parameter("depth", "watershed", 0.3, 8.0, 3.0, "Lab/px", "log", _W, "Basins of the gradient shallower than this are none of their own."),
        Parameter("sigma_px", "watershed", 0.5, 6.0, 2.0, "px", "log", _W, "Blur before the gradient."),
    ),
}
# fmt: on
