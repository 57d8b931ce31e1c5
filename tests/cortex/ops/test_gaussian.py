"""Gaussian blur against scipy, with strides, with one sigma per sample, and with a gradient."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ciliary.cortex.ops.gaussian import gaussian_blur, gaussian_matrix


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
