"""The table of deletion and insertion: by hand, and of a photograph."""

from __future__ import annotations

import pytest

from ciliary.envs.data.images import as_photograph
from ciliary.tuning.inspect.faithful import Found, judge_image, summary
from ciliary.tuning.inspect.settings import LookSettings


def test_rows_by_hand():
    nan = float("nan")
    found = [
        Found("a", "code", "occlusion", 0.2, 0.8, nan),
        Found("a", "code", "gradient", 0.4, 0.7, 0.1),
        Found("a", "code", "edges", 0.3, 0.7, nan),
        Found("a", "code", "random blobs", 0.5, 0.5, nan),
        Found("a", "code", "random pixels", 0.3, 0.6, nan),
        Found("b", "code", "occlusion", 0.4, 0.6, nan),
        Found("b", "code", "gradient", 0.4, 0.5, 0.3),
        Found("b", "code", "edges", 0.5, 0.7, nan),
        Found("b", "code", "random blobs", 0.5, 0.6, nan),
        Found("b", "code", "random pixels", 0.3, 0.6, nan),
    ]
    rows = {row.map: row for row in summary(found)}
    assert rows["occlusion"].deletion.mean == pytest.approx(0.3)
    assert rows["occlusion"].insertion.mean == pytest.approx(0.7)
    assert rows["occlusion"].deletion_less_chance.mean == pytest.approx(-0.2)
    assert rows["occlusion"].insertion_less_chance.mean == pytest.approx(0.15)
    assert rows["occlusion"].deletion.n == 2
    assert rows["gradient"].deletion_less_chance.mean == pytest.approx(0.1)  # of pixels: it is as fine
    assert rows["occlusion"].deletion_less_edges.mean == pytest.approx(-0.1)
    assert rows["occlusion"].insertion_less_edges.mean == pytest.approx(0.0)
    assert rows["edges"].deletion_less_edges is None
    assert rows["edges"].deletion_less_chance.mean == pytest.approx(0.1)
    assert rows["gradient"].alike_control == pytest.approx(0.2)
    assert rows["random blobs"].deletion_less_chance is None
    assert rows["random blobs"].alike_control is None


def test_all_maps_of_all_targets_of_a_photograph(mathematical):
    image = (mathematical.image.permute(1, 2, 0).numpy() * 255).astype("uint8")
    settings = LookSettings(is_hasty=True, inherited="none", targets=("code", "slot:1"))
    ticks = []
    found = judge_image(
        mathematical.cortex,
        as_photograph(image, "a cat", 64),
        mathematical.theta,
        settings,
        lambda n, of: ticks.append((n, of)),
    )
    assert {one.target for one in found} == {"code", "slot:1"}
    assert {one.map for one in found if one.alike == one.alike} == {"gradient", "integrated gradients"}
    assert ticks[-1][0] == ticks[-1][1]
