"""Rows of the exam on clips whose answer is known, and the table they make."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from ciliary.cortex.memory.settings import MemorySettings
from ciliary.envs.data.active.clips import StillClip
from ciliary.envs.metrics.identity import UNKNOWN, IdentityCounts
from ciliary.tuning.track.exam import CEILING, FLOOR, tell_clip
from ciliary.tuning.track.rows import rows_of
from ciliary.tuning.track.table import METRICS, as_markdown, tabulate, write_table
from ciliary.tuning.track.truth import Truth, link_of
from ciliary_tests.moving_squares import GROUND, SIZE, squares


class Sliding(StillClip):
    """Everything slides so many pixels to the right a frame."""

    by_px = 2

    def flow(self, one, other):
        flow = torch.zeros(1, 2, *SIZE)
        flow[:, 1] = self.by_px * (other - one)
        x = torch.arange(SIZE[1]) + flow[0, 1]
        return flow, ((x >= 0) & (x < SIZE[1]))[None, None]

    def given_flow(self, one, other):
        return self.flow(one, other)[0]


def sliding(n=6):
    """A clip of that kind and its proto-objects, whose slots change places from frame to frame."""
    orders = [(GROUND, "red", "blue"), ("blue", GROUND, "red")]
    objects = [squares({"red": (5, 2 + 2 * t), "blue": (22, 20 + 2 * t)}, order=orders[t % 2]) for t in range(n)]
    clip = Sliding("slide", torch.zeros(n, 3, *SIZE), torch.ones(n, 1, *SIZE, dtype=torch.bool))
    return Truth(clip, objects)


def rate(counts, name):
    return sum(getattr(c, name).sum() for c in counts) / sum(c.n_objects.sum() for c in counts)


def test_links_follow_the_flow_and_count_only_what_is_there():
    truth = sliding()
    assert truth.link(0, 1).tolist() == [2, 0, 1]  # blue, ground, red of slots 0, 1, 2
    one, other = truth.objects[0], truth.objects[1]
    flow, _ = truth.clip.flow(0, 1)
    nothing = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    assert link_of(one, other, flow, nothing).tolist() == [UNKNOWN] * 3
    few = nothing.clone()
    few[..., 5:7, 2:12] = True  # a fifth of the red one
    assert link_of(one, other, flow, few).tolist() == [UNKNOWN] * 3
    few[..., 5:9, 2:12] = True
    assert link_of(one, other, flow, few).tolist() == [UNKNOWN, UNKNOWN, 1]


def test_a_memory_beats_the_slots_and_reaches_the_true_motion():
    truth = sliding()
    for step in (1, 2):
        told = tell_clip(truth, step=step)
        assert list(told) == [FLOOR, *rows_of(MemorySettings()), CEILING]
        assert all(len(counts) == step for counts in told.values())
        assert rate(told[CEILING], "n_switched") == rate(told[CEILING], "n_lost") == 0
        assert [c.idf1 for c in told["place + code + given flow"]] == [1.0] * step
        assert [c.idf1 for c in told["code"]] == [1.0] * step
    assert tell_clip(truth)[FLOOR][0].idf1 < 0.7
    with pytest.raises(ValueError, match="smaller --steps"):
        tell_clip(truth, step=6)


def counts(objects, switched, lost, seen, right):
    return IdentityCounts(*(np.array(x) for x in (objects, switched, lost, seen, right)))


def test_the_table_sums_before_it_divides_and_says_what_was_resampled(tmp_path):
    film = [counts([2, 2], [1, 0], [0, 1], [3, 3], [2, 2])]
    table = tabulate({(1, "a"): [film]})
    found = table.cells[1, "a"]
    assert found["idf1"].mean == pytest.approx(4 / 6)
    assert found["switched"].mean == found["lost"].mean == pytest.approx(1 / 4)
    assert found["mota"].mean == pytest.approx(1 - 2 / 6)
    assert found["renamed"].mean == pytest.approx(1.0)
    assert "frames" in table.unit
    assert table.n_again == {1: 4}
    many = tabulate({(1, "a"): [film] * 6})
    assert "6 clips" in many.unit
    assert many.cells[1, "a"]["idf1"].low == many.cells[1, "a"]["idf1"].high == pytest.approx(4 / 6)
    page, rows = write_table(table, "words", tmp_path)
    assert "| step | names by | seen again | IDF1 |" in page.read_text(encoding="utf-8")
    with rows.open(encoding="utf-8", newline="") as file:
        assert [row["metric"] for row in csv.DictReader(file)] == list(METRICS)
    assert as_markdown(many).splitlines()[2].startswith("| 1 | a | 24 | 0.667 |")
