"""The code of M1 is taught: shares by hand, a loss whose minimum is known, and colours that it tells apart."""

import math

import pytest
import torch

from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_SCALES
from ciliary.tuning.training.contours.codes import CodeScene, apart_share, code_loss, learn_code


def test_shares_by_hand():
    drawn = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 1], [5, 5, 5, 5]])  # three people, four pixels
    third = 1 / 3
    expected = torch.tensor(
        [[0, 0, third, 2 * third], [0, 0, third, 2 * third], [third, third, 0, third], [2 * third, 2 * third, third, 0]]
    )
    torch.testing.assert_close(apart_share(drawn, torch.arange(4)), expected)
    torch.testing.assert_close(apart_share(drawn, torch.tensor([3, 0])), expected[[3, 0]][:, [3, 0]])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_two_places_are_best_as_far_apart_as_people_say(share):
    apart = torch.tensor([[0.0, share], [share, 0.0]])
    best = math.sqrt(-math.log(1 - share))

    def loss(distance):
        return float(code_loss(torch.tensor([[0.0], [distance]]), apart))

    assert loss(best) < min(loss(0.9 * best), loss(1.1 * best))


def test_the_loss_is_least_where_all_distances_fit():
    code = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    apart = 1 - torch.exp(-torch.cdist(code, code).square() - 1e-4)
    code.requires_grad_()
    loss = code_loss(code, apart)
    (slope,) = torch.autograd.grad(loss, code)
    assert slope.abs().max() < 1e-5
    for seed in range(5):
        step = 0.1 * torch.randn(12, 3, generator=torch.Generator().manual_seed(seed))
        assert code_loss(code + step, apart) > loss


def test_one_code_for_all_and_codes_far_apart_have_a_finite_loss_and_gradient():
    apart = (torch.arange(6)[:, None] != torch.arange(6)).float()
    for code in (torch.zeros(6, 2), 30 * torch.randn(6, 2)):
        code.requires_grad_()
        loss = code_loss(code, apart)
        assert torch.isfinite(loss)
        assert torch.isfinite(torch.autograd.grad(loss, code)[0]).all()
    assert torch.isfinite(code_loss(torch.randn(6, 2), torch.zeros(6, 6)))  # nobody parts anything


def halves(seed, size=(12, 16)):
    """Two colours, with grain; what is dark is on either side."""
    rng = torch.Generator().manual_seed(seed)
    inputs = 0.1 * torch.randn(N_COLOUR + N_SCALES * N_ORIENTATIONS, *size, generator=rng)
    drawn = torch.zeros(1, *size, dtype=torch.int64)
    drawn[..., size[1] // 2 :] = 1
    inputs[0] += (drawn[0] == seed % 2).float() - 0.5
    return CodeScene(inputs, drawn)


def test_two_colours_are_told_apart():
    losses, before = [], torch.get_rng_state()
    net = learn_code(
        [halves(i) for i in range(4)], n_steps=40, n_batch=2, on_step=lambda step, loss: losses.append(loss)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert len(losses) == 40
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    scene = halves(7)
    with torch.no_grad():
        code = net(scene.inputs[None])[0].flatten(1).T
    apart = 1 - torch.exp(-torch.cdist(code, code).square())
    should = apart_share(scene.drawn.flatten(1), torch.arange(len(code)))
    assert apart[should == 1].mean() > 0.6
    assert apart[should == 0].mean() < 0.4
