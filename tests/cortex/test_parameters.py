"""The parameter table: round trips, bounds, scales, gradients, errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.cortex.parameters import (
    COLUMNS_V0,
    PARAMETERS,
    Parameter,
    ParameterTable,
    default_theta,
    default_unit,
    from_unit,
    repeat_theta,
    to_unit,
)

NAMES, N_PARAMETERS = PARAMETERS.names, len(PARAMETERS)

units = st.lists(st.floats(-1, 1, width=32), min_size=N_PARAMETERS, max_size=N_PARAMETERS)


def row(**changes):
    values = {"name": "x", "stage": "M1", "low": 1.0, "high": 4.0, "default": 2.0, "unit": "px", "scale": "log"}
    return Parameter(**{**values, "source": "measured", "doc": "A row.", **changes})


def u_with(name, value):
    u = default_unit()
    u[0, NAMES.index(name)] = value
    return u


# --- the table


def test_the_table_covers_every_stage_with_at_least_twenty_rows():
    assert N_PARAMETERS >= 20
    assert len(set(NAMES)) == N_PARAMETERS
    assert {p.stage for p in PARAMETERS} == {"retina", "M1", "M2", "M3", "M4"}


@pytest.mark.parametrize("p", PARAMETERS, ids=lambda p: p.name)
def test_every_row_is_complete(p):
    assert p.low < p.high
    assert p.low <= p.default <= p.high
    assert p.name.isidentifier()
    assert p.scale in ("linear", "log", "int")
    assert all(text.strip() for text in (p.unit, p.source, p.doc))
    assert p.doc.endswith(".")
    if p.name.endswith("_px"):
        assert p.unit == "px"
    if p.scale == "int":
        assert all(float(x).is_integer() for x in (p.low, p.high, p.default))


def test_impossible_rows_are_refused():
    with pytest.raises(ValueError, match="low <= default <= high"):
        row(default=5.0)
    with pytest.raises(ValueError, match="a log scale needs low > 0"):
        row(low=0.0)


# --- u and theta


@settings(max_examples=50, deadline=None)
@given(st.lists(units, min_size=1, max_size=3))
def test_round_trip_and_bounds(rows):
    u = torch.tensor(rows)
    theta = from_unit(u)
    assert list(theta) == list(NAMES)
    for p in PARAMETERS:
        value = theta[p.name]
        assert value.shape == (len(rows),)
        slack = 1e-5 * (p.high - p.low)
        assert (value >= p.low - slack).all()
        assert (value <= p.high + slack).all()
    torch.testing.assert_close(to_unit(theta), u, atol=2e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(units, st.integers(0, N_PARAMETERS - 1), st.floats(0.01, 1))
def test_each_parameter_rises_with_its_own_u_only(values, i, step):
    u = torch.tensor([values])
    moved = u.clone()
    moved[0, i] = min(1.0, float(u[0, i]) + step)
    before, after = from_unit(u), from_unit(moved)
    for name in NAMES:
        if name == NAMES[i] and moved[0, i] > u[0, i] + 1e-3:
            assert after[name] > before[name]
        elif name != NAMES[i]:
            assert torch.equal(after[name], before[name])


def test_ends_and_middle_by_hand():
    for p in PARAMETERS:
        low, middle, high = (from_unit(u_with(p.name, x))[p.name].item() for x in (-1.0, 0.0, 1.0))
        assert low == pytest.approx(p.low, rel=1e-5, abs=1e-6)
        assert high == pytest.approx(p.high, rel=1e-5)
        # equal ratios on a log scale: the geometric mean; elsewhere the arithmetic one
        expected = math.sqrt(p.low * p.high) if p.scale == "log" else (p.low + p.high) / 2
        assert middle == pytest.approx(expected, rel=1e-5)


def test_counts_may_be_fractional():
    p = PARAMETERS["n_regions"]
    step = 2 / (p.high - p.low)
    value = from_unit(u_with("n_regions", -1 + 3.5 * step))["n_regions"]
    assert value.item() == pytest.approx(p.low + 3.5, rel=1e-5)


def test_outside_is_clipped():
    far = from_unit(torch.full((1, N_PARAMETERS), 7.0))
    edge = from_unit(torch.ones(1, N_PARAMETERS))
    assert all(torch.equal(far[name], edge[name]) for name in NAMES)


def test_defaults():
    theta = default_theta(3)
    for p in PARAMETERS:
        torch.testing.assert_close(theta[p.name], torch.full((3,), p.default))
    assert default_unit(3).shape == (3, N_PARAMETERS)
    assert (default_unit().abs() <= 1).all()
    back = from_unit(default_unit())
    for p in PARAMETERS:
        assert back[p.name].item() == pytest.approx(p.default, rel=1e-4, abs=1e-5)
    assert default_theta(2, n_slots=7)["n_slots"].tolist() == [7, 7]


@pytest.mark.parametrize("value", [-1.0, -0.3, 1.0])
def test_gradient_reaches_every_u_also_at_the_bounds(value):
    u = torch.full((2, N_PARAMETERS), value, requires_grad=True)
    theta = from_unit(u)
    sum(column.sum() for column in theta.values()).backward()
    assert (u.grad > 0).all()
    p, i = PARAMETERS["wavelength_px"], NAMES.index("wavelength_px")
    # d/du low * (high/low)^((u+1)/2) = value * ln(high/low) / 2
    expected = theta["wavelength_px"][0].item() * math.log(p.high / p.low) / 2
    assert u.grad[0, i].item() == pytest.approx(expected, rel=1e-4)


def test_no_gradient_beyond_the_bounds():
    u = torch.full((1, N_PARAMETERS), 1.5, requires_grad=True)
    sum(column.sum() for column in from_unit(u).values()).backward()
    assert not u.grad.any()


def test_repeat_is_sample_major():
    theta = from_unit(torch.linspace(-1, 1, 2)[:, None].expand(2, N_PARAMETERS))
    value = repeat_theta(theta, 3)["n_slots"]
    assert value.shape == (6,)
    assert (value[:3] == theta["n_slots"][0]).all()
    assert (value[3:] == theta["n_slots"][1]).all()


# --- errors


@pytest.mark.parametrize(
    "call",
    [
        lambda: PARAMETERS.check_names(["n_slots", "n_slotz"]),
        lambda: default_theta(1, n_slotz=3),
        lambda: to_unit({**default_theta(), "n_slotz": torch.ones(1)}),
    ],
)
def test_unknown_names_are_answered_with_the_list(call):
    with pytest.raises(KeyError, match=r"n_slotz.*choose from .*n_slots"):
        call()


def test_missing_names_are_listed():
    theta = default_theta()
    del theta["n_slots"]
    with pytest.raises(KeyError, match=r"lacks \['n_slots'\]"):
        to_unit(theta)


@pytest.mark.parametrize("shape", [(N_PARAMETERS,), (2, N_PARAMETERS + 1), (1, 2, N_PARAMETERS)])
def test_wrong_shapes_are_named(shape):
    with pytest.raises(ValueError, match=rf"expected u of shape \(B, {N_PARAMETERS}\)"):
        from_unit(torch.zeros(shape))


# --- any table: float64, names of columns


def test_float64_agrees_with_float32_and_returns_the_same_setting():
    u = np.random.default_rng(0).uniform(-1, 1, (5, len(PARAMETERS)))
    values = PARAMETERS.to_physical(u)
    theta = from_unit(torch.tensor(u, dtype=torch.float32))
    for i, p in enumerate(PARAMETERS):
        np.testing.assert_allclose(values[:, i], theta[p.name].numpy(), rtol=1e-5)
    np.testing.assert_allclose(PARAMETERS.to_u(values), u, atol=1e-12)
    np.testing.assert_array_equal(PARAMETERS.by_name(u)["n_slots"], values[:, PARAMETERS.names.index("n_slots")])


def test_settings_stored_under_other_columns_are_brought_to_the_table():
    table = ParameterTable((row(name="a"), row(name="b", scale="linear", low=0.0, high=4.0, default=3.0)))
    stored = np.array([[0.25, -0.5], [1.0, 0.0]], dtype=np.float32)
    u, notes = table.align(("b", "gone"), stored)
    default_a = table.default_unit()[0, 0].item()
    np.testing.assert_allclose(u, [[default_a, 0.25], [default_a, 1.0]])
    assert u.dtype == np.float32
    assert notes == ["a was not stored and has its default", "gone was stored and is no parameter here; dropped"]
    same, none = table.align(("a", "b"), stored)
    np.testing.assert_array_equal(same, stored)
    assert none == []
    with pytest.raises(ValueError, match="a column for each of 1 names"):
        table.align(("a",), stored)


def test_columns_of_the_first_version_are_still_parameters():
    assert set(COLUMNS_V0) <= set(PARAMETERS.names)
    assert len(COLUMNS_V0) == 36


def test_the_one_range_check():
    assert PARAMETERS.check_value("n_slots", 7) == 7.0
    with pytest.raises(ValueError, match=r"n_slots must lie in 2\.\.32, got 40"):
        PARAMETERS.check_value("n_slots", 40)
    with pytest.raises(ValueError, match=r"n_slots must lie in"):
        PARAMETERS.check_value("n_slots", float("nan"))


def test_generic_parameters_are_their_own_u():
    table = ParameterTable.generic(["u0", "u1"])
    np.testing.assert_array_equal(table.to_physical(np.array([[0.5, -2.0]])), [[0.5, -1.0]])
    assert table.default_unit().tolist() == [[0.0, 0.0]]
    with pytest.raises(ValueError, match="each parameter once"):
        ParameterTable.generic(["a", "a"])
