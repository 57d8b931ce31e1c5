"""Gini index: closed forms and the properties that single it out (Hurley & Rickard 2009)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.cortex.ops.gini import gini

vectors = (
    st.lists(st.floats(0, 100, width=32), min_size=2, max_size=30).filter(lambda x: sum(x) > 1e-3).map(torch.tensor)
)


def by_definition(x):
    """The notes' own form, 1 - 2 sum (x_k/|x|)(N - k + 1/2)/N, in float64."""
    x = x.double().abs().sort().values
    n = len(x)
    k = torch.arange(1, n + 1)
    return 1 - 2 * (x / x.sum() * (n - k + 0.5) / n).sum()


def test_constant_is_zero():
    assert gini(torch.full((1000,), 3.0)).item() == pytest.approx(0, abs=1e-6)
    assert gini(torch.zeros(10)).item() == 0


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_one_alone(n):
    x = torch.zeros(n)
    x[n // 2] = 5.0
    assert gini(x).item() == pytest.approx(1 - 1 / n, abs=1e-6)


def test_by_hand():
    # [1, 3]: (2*1-3)*1/(2*4) + (2*2-3)*3/(2*4) = 2/8
    assert gini(torch.tensor([3.0, 1.0])).item() == pytest.approx(0.25)


def test_null_values_of_noise():
    noise = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    assert gini(noise).item() == pytest.approx(2**0.5 - 1, abs=2e-3)
    assert gini(noise.relu()).item() == pytest.approx(0.5**0.5, abs=2e-3)
    assert gini(-torch.rand(1_000_000, generator=torch.Generator().manual_seed(0)).log()).item() == pytest.approx(
        0.5, abs=2e-3
    )


@settings(max_examples=100, deadline=None)
@given(vectors, st.floats(1e-3, 1e3))
def test_properties(x, scale):
    g = gini(x)
    torch.testing.assert_close(g, by_definition(x).float(), atol=1e-5, rtol=0)
    assert -1e-6 <= g <= 1 - 1 / len(x) + 1e-6
    torch.testing.assert_close(gini(scale * x), g, atol=1e-5, rtol=0)  # scaling
    torch.testing.assert_close(gini(-x), g)  # magnitudes
    torch.testing.assert_close(gini(torch.cat([x, x])), g, atol=1e-5, rtol=0)  # cloning
    assert gini(x + x.mean()) <= g + 1e-5  # rising tide
    assert gini(torch.cat([x, torch.zeros(1)])) >= g - 1e-5  # babies
    rich = x.clone()
    rich[x.argmax()] += 10 * x.sum()
    assert gini(rich) >= g - 1e-5  # Bill Gates


def test_axis_and_shape():
    x = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    assert gini(x).shape == (2, 5)
    assert gini(x, 1).shape == (2, 7)
    assert gini(x, 1, keepdim=True).shape == (2, 1, 7)
    torch.testing.assert_close(gini(x, 1)[1, 3], gini(x[1, :, 3]))
    torch.testing.assert_close(gini(x.mT), gini(x, 1))


def test_gradcheck():
    x = torch.tensor([[0.3, -2.0, 1.1, 0.7], [4.0, 0.1, 0.9, -0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gini, (x,))
    zero = torch.zeros(4, requires_grad=True)
    gini(zero).backward()
    assert torch.isfinite(zero.grad).all()


def test_extreme_scales_and_nan():
    for scale in (1e-30, 1e30):
        assert gini(torch.tensor([1.0, 3.0]) * scale).item() == pytest.approx(0.25, rel=1e-5)
    assert gini(torch.tensor([1.0, float("nan")])).isnan()
