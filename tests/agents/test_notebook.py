"""What a notebook shows of an episode: gains by hand, and the parameters that moved, those that moved most first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ciliary.agents.guard import GuardDecision
from ciliary.agents.trace import Ending, Trace
from ciliary.cortex.table import Parameter, ParameterTable

TABLE = ParameterTable(
    (
        Parameter("still", "M1", 0.0, 2.0, 1.0, "px", "linear", "", ""),
        Parameter("near", "M1", 0.0, 2.0, 1.0, "px", "linear", "", ""),
        Parameter("far", "M4", 1.0, 100.0, 10.0, "cost", "log", "", ""),
    )
)


@pytest.fixture
def trace() -> Trace:
    u = np.array([[0.0, 0.0, 0.0], [0.0, 0.25, -1.0]])
    return Trace(
        controller="<walker>",
        seed=3,
        u=u,
        terms={"total": np.array([0.5, 0.4])},
        best_so_far=np.array([0.5, 0.4]),
        i_chosen=1,
        u_chosen=u[1],
        before={"stability": 0.2, "total": 0.5, "only before": 1.0},
        after={"stability": 0.3, "total": 0.375},
        guard=GuardDecision(is_accepted=True, gain=0.1, standard_error=0.01, reason="It holds & more."),
        ending=Ending.BUDGET_SPENT,
        n_evaluations=7,
        seconds=1.25,
        parameters=TABLE,
    )


def test_gains_and_moves_by_hand(trace):
    page = trace._repr_html_()
    cells = [cell.split("<")[0] for cell in page.split('<td style="text-align: left">')[1:]]
    assert cells[:8] == ["total", "0.5000", "0.3750", "+0.1250", "stability", "0.2000", "0.3000", "-0.1000"]
    assert cells[8:] == ["far", "M4", "10", "1", "cost", "near", "M1", "1", "1.25", "px"]
    assert "&lt;walker&gt;, seed 3: 7 settings in 1.2 s; trial 1" in page
    assert "It holds &amp; more." in page
    assert "still" not in page.replace("still falling", "")


def test_where_nothing_moved_it_says_so(trace):
    page = replace(trace, u_chosen=np.zeros(3), i_chosen=0, guard=None, after={"total": np.nan})._repr_html_()
    assert "No parameter moved." in page
    assert "nan" in page


def test_many_that_moved_are_counted(trace):
    names = [f"p{i}" for i in range(12)]
    many = replace(trace, parameters=ParameterTable.generic(names), u_chosen=np.full(12, 0.5), is_integrated=True)
    page = many._repr_html_()
    assert "of the look that it agrees with most, 8 of 12 that moved" in page
    assert "all looks together" in page
