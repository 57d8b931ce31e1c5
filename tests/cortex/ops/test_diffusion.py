"""Diffusion: mass is kept, walls hold, a uniform barrier is not normalised away, and its speed is that of heat."""

import math

import pytest
import torch

from ciliary.cortex.ops.diffusion import diffuse


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
