"""The bar: steps within a step have a row of their own, and leave none behind."""

from __future__ import annotations

from ciliary.tuning.cli.progress import Bar


def test_steps_within_a_step_come_and_go():
    with Bar(2, title="a cat", is_quiet=True) as bar:
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
    with Bar(1, is_quiet=True) as bar:
        bar.within(2, 5)
        bar.within(1, 9)  # the next one, after an error
        assert [task.total for task in bar._progress.tasks] == [1, 9]
