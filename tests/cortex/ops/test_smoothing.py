"""Blur, halving and diffusion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from ciliary.cortex.ops.smoothing import diffuse, gaussian_blur, gaussian_matrix, halve


def picture(b=1, size=(33, 47)):
    return torch.rand(b, 2, *size, generator=torch.Generator().manual_seed(0))


def by_definition(x, sigma, stride):
    """Weighted sums over the reflected line, in float64; output k is centred on the middle of its ``stride`` inputs."""
    n, reach = len(x), int(6 * sigma) + 2
    line = np.pad(np.asarray(x, np.float64), reach, mode="symmetric")
    place = np.arange(-reach, n + reach)
    out = []
    for k in range(-(-n // stride)):
        weight = np.exp(-0.5 * ((place - (k * stride + (stride - 1) / 2)) / sigma) ** 2)
        out.append((weight * line).sum() / weight.sum())
    return np.array(out)


@pytest.mark.parametrize("sigma_px", [0.3, 0.6, 1.0, 2.5, 5.0])
def test_against_scipy(sigma_px):
    x = picture()
    expected = gaussian_filter(x[0].double().numpy(), (0, sigma_px, sigma_px), mode="reflect", truncate=5.5)
    ours = gaussian_blur(x, torch.tensor([sigma_px]))[0]
    np.testing.assert_allclose(ours.numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [24, 33, 34, 35])
def test_each_output_is_centred_on_its_inputs(stride, n):
    x = torch.rand(n, generator=torch.Generator().manual_seed(n))
    ours = gaussian_matrix(n, torch.tensor([2.0]), stride=stride)[0] @ x
    inside = n // stride  # the last output of a length that does not divide has part of its inputs outside
    np.testing.assert_allclose(ours[:inside].numpy(), by_definition(x, 2.0, stride)[:inside], atol=2e-6)


@pytest.mark.parametrize("stride", [2, 4])
def test_stride_in_two_dimensions(stride):
    x = picture(size=(32, 48))
    ours = gaussian_blur(x, torch.tensor([3.0]), stride=stride)
    rows = np.stack([by_definition(column, 3.0, stride) for column in x[0, 0].T]).T
    expected = np.stack([by_definition(row, 3.0, stride) for row in rows])
    assert ours.shape == (1, 2, 32 // stride, 48 // stride)
    np.testing.assert_allclose(ours[0, 0].numpy(), expected, atol=3e-6)


@pytest.mark.parametrize("sigma_px", [1e-4, 0.3, 3.0, 18.0, 200.0])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_constant_stays_the_same_constant(sigma_px, stride):
    x = torch.full((1, 1, 32, 35), 0.7)
    blurred = gaussian_blur(x, torch.tensor([sigma_px]), stride=stride)
    assert blurred.shape == (1, 1, 32 // stride, -(-35 // stride))
    torch.testing.assert_close(blurred, torch.full_like(blurred, 0.7))


def test_a_tiny_sigma_changes_nothing_and_a_huge_one_leaves_the_mean():
    x = picture()
    torch.testing.assert_close(gaussian_blur(x, torch.tensor([0.05])), x)
    flat = gaussian_blur(x, torch.tensor([1000.0]))
    torch.testing.assert_close(flat, x.mean((2, 3), keepdim=True).expand_as(x), atol=1e-4, rtol=0)


def test_one_sigma_per_sample():
    x, sigma = picture(3), torch.tensor([0.5, 2.0, 6.0])
    together = gaussian_blur(x, sigma)
    alone = torch.cat([gaussian_blur(x[i : i + 1], sigma[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_gradient_in_sigma_is_the_slope():
    x = picture()
    weight = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))

    def value(sigma):
        return (gaussian_blur(x.double(), sigma) * weight).sum()

    sigma = torch.tensor([1.7], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(sigma), sigma)
    step = 1e-4
    expected = (value(sigma + step) - value(sigma - step)) / (2 * step)
    assert slope.item() == pytest.approx(expected.item(), rel=1e-3)


def test_no_denormal_weights():
    weight = gaussian_matrix(64, torch.tensor([0.3, 1.0, 4.0]))
    assert not ((weight > 0) & (weight < 1e-8)).any()


@pytest.mark.parametrize("lead", [(2, 3), (4,), (2, 3, 5)])
def test_even_sizes_are_average_pooling(lead):
    x = torch.rand(*lead, 8, 12)
    torch.testing.assert_close(halve(x), F.avg_pool2d(x.reshape(1, -1, 8, 12), 2).reshape(*lead, 4, 6))


@pytest.mark.parametrize("size", [(7, 12), (8, 11), (7, 11), (1, 1)])
def test_an_odd_last_row_or_column_is_repeated(size):
    x = torch.rand(2, 3, *size)
    h, w = size
    padded = F.pad(x, (0, w % 2, 0, h % 2), mode="replicate")
    torch.testing.assert_close(halve(x), F.avg_pool2d(padded, 2))
    torch.testing.assert_close(halve(torch.full_like(x, 0.3)), torch.full((2, 3, -(-h // 2), -(-w // 2)), 0.3))


def field(b=1, c=2, size=(20, 26)):
    return torch.rand(b, c, *size, generator=torch.Generator().manual_seed(0))


def run(x, conductance, time=1.0, n_steps=4):
    b, _, h, w = x.shape
    if not isinstance(conductance, torch.Tensor):
        conductance = torch.full((b, 1, h, w), float(conductance))
    return diffuse(x, conductance, time=torch.full((b,), time), n_steps=n_steps)


def test_a_closed_barrier_changes_nothing():
    x = field()
    assert torch.equal(run(x, 0.0), x)


@pytest.mark.parametrize("conductance", [0.3, 1.0, None])
def test_the_mean_is_kept(conductance):
    x = field()
    if conductance is None:
        conductance = torch.rand(1, 1, 20, 26, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(run(x, conductance).mean((2, 3)), x.mean((2, 3)), atol=1e-6, rtol=0)


def test_long_open_diffusion_ends_uniform():
    x = field(size=(8, 8))
    after = run(x, 1.0, time=100.0, n_steps=400)
    torch.testing.assert_close(after, x.mean((2, 3), keepdim=True).expand_as(x), atol=1e-3, rtol=0)


def test_a_uniform_barrier_slows_all_in_proportion():
    """The lesson: divided by the sum of weights, a strong barrier everywhere cancelled itself."""
    x = field()
    kept = [run(x, conductance).var() / x.var() for conductance in (1.0, 0.5, 0.1, 0.01)]
    assert kept[0] < kept[1] < kept[2] < kept[3]
    assert kept[3] > 0.9
    # Half the conductance for twice the time is the same.
    torch.testing.assert_close(run(x, 0.5, time=2.0, n_steps=8), run(x, 1.0, time=1.0, n_steps=8))


def test_a_wall_holds_and_a_gap_leaks():
    x = torch.zeros(1, 1, 16, 21)
    x[..., :10] = 1.0
    wall = torch.ones(1, 1, 16, 21)
    wall[..., 10] = 0.0
    after = run(x, wall, time=20.0, n_steps=80)
    assert torch.equal(after[..., 11:], torch.zeros(1, 1, 16, 10))
    torch.testing.assert_close(after[..., :10], torch.ones(1, 1, 16, 10))
    wall[..., 5, 10] = 1.0
    leaked = run(x, wall, time=20.0, n_steps=80)[..., 11:]
    assert leaked[..., 5, 0] > 0.05
    assert leaked[..., 5, 0] > leaked[..., 15, 0]


def test_a_wave_decays_at_the_rate_of_heat():
    """cos(pi k (x + 1/2) / n) keeps its shape between closed borders: a step takes 4 dt sin^2(pi k / 2n) of it."""
    n, k, time, n_steps = 24, 3, 1.0, 8
    wave = torch.cos(math.pi * k * (torch.arange(n) + 0.5) / n).expand(1, 1, 10, n)
    factor = (1 - 4 * time / n_steps * math.sin(math.pi * k / (2 * n)) ** 2) ** n_steps
    torch.testing.assert_close(run(wave, 1.0, time, n_steps), factor * wave, atol=1e-5, rtol=0)


def test_no_new_extremes_at_the_largest_time():
    x = field()
    after = run(x, 1.0, time=1.0, n_steps=4)
    assert after.min() >= x.min() - 1e-6
    assert after.max() <= x.max() + 1e-6


def test_unstable_times_are_refused():
    with pytest.raises(ValueError, match="needs more than 4 steps"):
        run(field(), 1.0, time=1.01)


def test_time_is_per_sample_and_has_a_gradient():
    x = field(3)
    conductance = torch.rand(3, 1, 20, 26, generator=torch.Generator().manual_seed(1), requires_grad=True)
    time = torch.tensor([0.0, 0.3, 1.0], requires_grad=True)
    together = diffuse(x, conductance, time=time, n_steps=4)
    torch.testing.assert_close(together[0], x[0])
    for i in range(3):
        alone = diffuse(x[i : i + 1], conductance[i : i + 1], time=time[i : i + 1], n_steps=4)
        torch.testing.assert_close(together[i : i + 1], alone)
    together.square().sum().backward()
    assert (time.grad < 0).all()  # more time, less variance
    assert (conductance.grad.flatten(1).abs().sum(1)[1:] > 0).all()
    before = x.clone()
    diffuse(x, conductance.detach(), time=time.detach(), n_steps=4)
    assert torch.equal(x, before)  # nothing is changed in place


def test_gradcheck():
    x = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    conductance = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    time = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *a: diffuse(a[0], a[1], time=a[2], n_steps=3), (x, conductance, time))
