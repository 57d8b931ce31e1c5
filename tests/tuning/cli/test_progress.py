"""The bar: where it is drawn; steps within a step have a row of their own, and leave none behind."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ciliary.tuning.cli import progress


@pytest.mark.parametrize(
    ("console", "has_widgets", "is_drawn"),
    [
        (Console(file=io.StringIO()), True, False),
        (Console(file=io.StringIO(), force_terminal=True), False, True),
        (Console(file=io.StringIO(), force_jupyter=True), True, True),
        (Console(file=io.StringIO(), force_jupyter=True), False, False),  # rich would warn at every step
    ],
)
def test_where_it_can_move(console, has_widgets, is_drawn, monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if has_widgets else None)
    monkeypatch.setattr(progress, "Console", lambda **words: console)
    assert progress.Bar(3)._progress.disable is not is_drawn
    assert progress.Bar(3, is_quiet=True)._progress.disable


def test_steps_within_a_step_come_and_go():
    with progress.Bar(2, title="a cat", is_quiet=True) as bar:
        for _ in range(2):
            bar.within(1, 3)
            outer, inner = bar._progress.tasks
            assert (inner.completed, inner.total) == (1, 3)
            assert outer.completed == 0
            bar.within(3, 3)
            assert bar._progress.tasks == [outer]
        bar.advance()
        assert outer.completed == 1


def test_steps_that_were_not_finished_are_taken_on():
    with progress.Bar(1, is_quiet=True) as bar:
        bar.within(2, 5)
        bar.within(1, 9)  # the next one, after an error
        assert [task.total for task in bar._progress.tasks] == [1, 9]
