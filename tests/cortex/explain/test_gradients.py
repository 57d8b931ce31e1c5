"""Gradients and integrated gradients against closed forms and Captum."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.explain.gradients import gradient_maps, integrated_gradients

IMAGE = 0.1 + 0.8 * torch.rand(3, 8, 10, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.randn(3, 8, 10, generator=torch.Generator().manual_seed(1))


def linear(x):
    return (x * WEIGHT).sum((1, 2, 3))[:, None]


def quadratic(x):
    return torch.cat([linear(x), (x**2 * WEIGHT).sum((1, 2, 3))[:, None]], 1)


def test_the_gradient_of_what_is_linear_is_its_weight():
    found = gradient_maps(linear, IMAGE, noise=0.0, n_copies=1)
    expected = WEIGHT.square().sum(0).sqrt()
    for rule in ("gradient", "guided", "deconvnet"):  # nothing is rectified
        torch.testing.assert_close(found[rule][0], expected)


def test_at_its_greatest_a_number_has_no_gradient_but_around_it():
    """-|x - image|^2 has the gradient -2 (x - image): of noisy copies, twice the noise."""

    def of(x):
        return -((x - IMAGE) ** 2).sum((1, 2, 3))[:, None]

    plain = gradient_maps(of, IMAGE, rules=("gradient",), noise=0.0, n_copies=1)["gradient"]
    assert plain.abs().max() == 0
    noisy = gradient_maps(of, IMAGE, rules=("gradient",), noise=0.01, n_copies=200, n_at_once=50)["gradient"]
    torch.testing.assert_close(noisy.mean(), torch.tensor(2 * 0.01 * 3**0.5), rtol=0.05, atol=0)


def test_a_number_that_hangs_on_nothing_has_an_empty_map():
    found = gradient_maps(lambda x: torch.stack([linear(x)[:, 0], x.new_ones(len(x))], 1), IMAGE, n_copies=2)
    assert found["guided"][1].abs().max() == 0
    assert found["guided"][0].abs().max() > 0


def test_guided_and_deconvnet_by_hand():
    """f = relu(x0 - x1) at each pixel, summed with weights of both signs."""
    image = torch.full((3, 1, 2), 0.5)
    image[0] = torch.tensor([[0.9, 0.1]])  # x0 - x1 is 0.4 at the left, -0.4 at the right

    def of(x):
        sign = torch.tensor([1.0, 1.0])
        return (torch.relu(x[:, 0] - x[:, 1]) * sign).sum((1, 2))[:, None]

    found = gradient_maps(of, image, noise=0.0, n_copies=1)
    for rule, right in (("gradient", 0.0), ("guided", 0.0), ("deconvnet", 2**0.5)):
        torch.testing.assert_close(found[rule][0], torch.tensor([[2**0.5, right]]))


def test_integrated_gradients_are_complete_and_exact_on_a_quadratic():
    baseline = IMAGE.flip(2)
    found = integrated_gradients(quadratic, IMAGE, baseline, n_steps=2)
    torch.testing.assert_close(found.maps[0], ((IMAGE - baseline) * WEIGHT).sum(0))
    torch.testing.assert_close(found.maps[1], ((IMAGE**2 - baseline**2) * WEIGHT).sum(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.maps.sum((1, 2)), found.change, rtol=1e-4, atol=1e-4)
    assert found.gap.abs().max() < 1e-4


@pytest.mark.parametrize("n_at_once", [2, 7])
def test_captum_integrates_to_the_same(n_at_once):
    captum = pytest.importorskip("captum.attr")

    def of(x):
        return torch.stack([torch.sin(3 * linear(x)[:, 0]), quadratic(x)[:, 1]], 1)

    baseline = torch.full_like(IMAGE, 0.5)
    ticks = []
    ours = integrated_gradients(of, IMAGE, baseline, n_steps=9, n_at_once=n_at_once, tick=lambda *n: ticks.append(n))
    assert ticks[-1] == (9, 9)
    for i in range(2):
        theirs = captum.IntegratedGradients(of).attribute(IMAGE[None], baseline[None], target=i, n_steps=9)
        torch.testing.assert_close(ours.maps[i], theirs[0].sum(0).float(), rtol=1e-3, atol=1e-4)


def test_steps_are_passes_of_so_many_and_the_seed_is_the_noise():
    sizes = []

    def of(x):
        sizes.append(len(x))
        return quadratic(x)

    first = gradient_maps(of, IMAGE, n_copies=5, n_at_once=2, seed=3)["gradient"]
    assert sizes == [2, 2, 1]
    torch.testing.assert_close(gradient_maps(quadratic, IMAGE, n_copies=5, n_at_once=5, seed=3)["gradient"], first)
    assert not torch.equal(gradient_maps(quadratic, IMAGE, n_copies=5, seed=4)["gradient"], first)
