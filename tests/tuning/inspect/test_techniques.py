"""The registry: what every technique must have, and which are drawn."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.targets import make_targets
from ciliary.tuning.inspect.techniques import NAMES, TECHNIQUES, chosen


@pytest.fixture(scope="module")
def targets(mathematical):
    return make_targets(mathematical)


def test_names_are_anchors_and_each_stands_once():
    assert len(set(NAMES)) == len(NAMES)
    assert len({one.title for one in TECHNIQUES}) == len(NAMES)
    for one in TECHNIQUES:
        assert re.fullmatch(r"\w+", one.name), one.name
        assert one.words.endswith("."), one.name


@pytest.mark.parametrize("technique", TECHNIQUES, ids=NAMES)
def test_each_draws_a_figure_and_tells_how_far_it_is(mathematical, targets, technique):
    steps = []
    seen = Seen(mathematical, targets, is_quick=True, tick=lambda n, of: steps.append((n, of)))
    assert isinstance(technique.draw(seen), Figure)
    for (n, of), (later, _) in pairwise([*steps, (0, 1)]):  # from the first to the last, once or several times
        assert n < later or n == of


def test_what_is_chosen_is_drawn_in_its_order():
    assert chosen() == TECHNIQUES
    assert [one.name for one in chosen(("m4", "retina"))] == ["retina", "m4"]
    quick = chosen(is_quick=True)
    assert set(quick) == {one for one in TECHNIQUES if one.is_quick}
    assert chosen(NAMES, is_quick=True) == TECHNIQUES  # asked for by name, with fewer steps


def test_what_several_need_is_made_once(mathematical, targets):
    seen, made = Seen(mathematical, targets), []
    for _ in range(2):
        assert seen.once("maps", lambda: made.append(1) or 7) == 7
    assert made == [1]
