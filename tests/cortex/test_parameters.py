"""The parameter table: round trips, bounds, scales, gradients, errors."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.cortex.parameters import (
    BY_NAME,
    N_PARAMETERS,
    NAMES,
    PARAMETERS,
    STAGES,
    Parameter,
    check_names,
    default_theta,
    default_unit,
    from_unit,
    markdown_table,
    repeat_theta,
    to_unit,
)

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
    assert {p.stage for p in PARAMETERS} == set(STAGES)


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


def test_markdown_has_every_row():
    lines = markdown_table().splitlines()
    assert len(lines) == 2 + N_PARAMETERS
    for line, p in zip(lines[2:], PARAMETERS, strict=True):
        assert line.startswith(f"| `{p.name}` | {p.stage} |")
        assert line.count("|") == lines[0].count("|")


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
    p = BY_NAME["n_regions"]
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
    p, i = BY_NAME["wavelength_px"], NAMES.index("wavelength_px")
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
        lambda: check_names(["n_slots", "n_slotz"]),
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
