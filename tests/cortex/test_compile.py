"""Stages as a compiler sees them: one graph each, without a break, and the same answer from it.

Not so where as many basins as the picture has decide on shapes: M3 of ``inherited="contours"`` and ``"all"``.
"""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.testing.stage import arguments, photograph, tensors

STAGES = [
    ("none", "retina"),
    pytest.param("none", "m1", marks=pytest.mark.slow),
    pytest.param("none", "m2", marks=pytest.mark.slow),
    pytest.param("none", "m3", marks=pytest.mark.slow),  # loops of merges, unrolled: thousands of operators
    pytest.param("none", "m4", marks=pytest.mark.slow),
    pytest.param("contours", "m1", marks=pytest.mark.slow),
    pytest.param("contours", "m2", marks=pytest.mark.slow),
    pytest.param("contours", "m4", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("inherited", "name"), STAGES)
def test_a_stage_is_one_graph(inherited, name):
    torch.compiler.reset()
    cortex = Cortex(inherited=inherited).eval().requires_grad_(False)
    image = torch.cat([photograph(), photograph("coffee")])
    theta = cortex.table.default_theta(2)
    with torch.no_grad():
        given = arguments(cortex, name, image, theta, cortex.cues(image))
        stage = getattr(cortex, name)
        plain = tensors(stage(*given))
        compiled = tensors(torch.compile(stage, fullgraph=True, backend="eager")(*given))
    assert plain.keys() == compiled.keys()
    for key, value in plain.items():
        torch.testing.assert_close(compiled[key], value, msg=key)
