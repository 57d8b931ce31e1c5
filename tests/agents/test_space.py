import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ciliary.agents.controllers.search import distributions_of
from ciliary.agents.space import space_for
from ciliary.cortex.parameters import N_PARAMETERS, NAMES, PARAMETERS, default_unit, from_unit


def test_agrees_with_the_cortex():
    u = np.random.default_rng(0).uniform(-1, 1, (50, N_PARAMETERS))
    physical = space_for(NAMES).to_physical(u)
    theta = from_unit(torch.as_tensor(u))
    for i, name in enumerate(NAMES):
        np.testing.assert_allclose(physical[:, i], theta[name].numpy(), rtol=1e-12)


def test_default_in_physical_units():
    physical = space_for(NAMES).to_physical(default_unit().numpy())[0]
    np.testing.assert_allclose(physical, [p.default for p in PARAMETERS], rtol=1e-5, atol=1e-5)


@given(arrays(np.float64, (3, N_PARAMETERS), elements=st.floats(-1, 1)))
def test_there_and_back(u):
    space = space_for(NAMES)
    physical = space.to_physical(u)
    np.testing.assert_allclose(space.to_unit(physical), u, atol=1e-9)
    for axis, column in zip(space.axes, physical.T, strict=True):
        assert ((column >= axis.low) & (column <= axis.high)).all()  # to the last digit: Optuna refuses the rest


def test_subset_keeps_physical_units_and_order():
    last, first = PARAMETERS[-1], PARAMETERS[0]
    space = space_for((last.name, first.name))
    physical = space.to_physical(np.array([[-1, 1], [1, -1]]))
    np.testing.assert_allclose(physical, [[last.low, first.high], [last.high, first.low]])


def test_middle_of_a_log_axis_is_the_geometric_mean_and_of_a_linear_one_the_mean():
    middle = space_for(NAMES).to_physical(np.zeros((1, N_PARAMETERS)))[0]
    for p, value in zip(PARAMETERS, middle, strict=True):
        expected = np.sqrt(p.low * p.high) if p.scale == "log" else (p.low + p.high) / 2
        assert value == pytest.approx(expected)


def test_other_worlds_are_searched_in_u():
    space = space_for(("u0", "u1"))
    u = np.array([[-1.0, 0.3]])
    np.testing.assert_allclose(space.to_physical(u), u)
    np.testing.assert_allclose(space.to_unit(u), u)


def test_study_reads_like_the_table():
    distributions = distributions_of(space_for(NAMES))
    for p in PARAMETERS:
        d = distributions[p.name]
        assert (d.low, d.high, d.log) == (p.low, p.high, p.scale == "log")


def test_no_names():
    with pytest.raises(ValueError, match="at least one parameter name"):
        space_for(())
