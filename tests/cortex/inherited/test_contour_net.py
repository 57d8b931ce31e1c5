"""The network of contours: sizes, its weight, and layers that see differences only."""

import pytest
import torch
from torch import nn

from ciliary.cortex.stages.contour_net import N_FULL, N_HALF, STRIDES, ContourNet, DifferenceConv, contour_inputs
from ciliary.cortex.stages.inherited import TRUNK_WIDTHS


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def maps_of(h, w):
    return tuple(normal(2, n, -(-h // s), -(-w // s)) for n, s in zip(TRUNK_WIDTHS, STRIDES[1:], strict=True))


@pytest.mark.parametrize("trunk_channels", [(), TRUNK_WIDTHS], ids=["image", "trunk"])
@pytest.mark.parametrize(("h", "w"), [(32, 48), (33, 47), (50, 71)])
def test_logits_have_the_images_size_and_sides_that_of_their_strides(trunk_channels, h, w):
    net = ContourNet(trunk_channels).eval()
    trunk = maps_of(h, w) if trunk_channels else ()
    with torch.no_grad():
        logits, sides = net(normal(2, N_FULL, h, w), normal(2, N_HALF, -(-h // 2), -(-w // 2)).abs(), trunk)
    assert logits.shape == (2, 1, h, w)
    assert [x.shape for x in sides] == [(2, 1, -(-h // s), -(-w // s)) for s in STRIDES]
    assert logits.isfinite().all()


@pytest.mark.parametrize("trunk_channels", [(), TRUNK_WIDTHS], ids=["image", "trunk"])
def test_it_is_small(trunk_channels):
    assert sum(p.numel() for p in ContourNet(trunk_channels).parameters()) < 1_000_000


def test_every_weight_has_a_gradient():
    """But those that a normalisation takes out again, which are none."""
    net = ContourNet(TRUNK_WIDTHS).train()
    logits, sides = net(normal(2, N_FULL, 32, 48), normal(2, N_HALF, 16, 24), maps_of(32, 48))
    sum((x.square().mean() for x in sides), logits.square().mean()).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def test_the_trunk_is_seen():
    net = ContourNet(TRUNK_WIDTHS).eval()
    full, half, maps = normal(2, N_FULL, 32, 48), normal(2, N_HALF, 16, 24), maps_of(32, 48)
    with torch.no_grad():
        one = net(full, half, maps)[0]
        for i in range(3):
            changed = tuple(x + (i == k) for k, x in enumerate(maps))
            assert not torch.allclose(net(full, half, changed)[0], one)


def differing():
    layer = DifferenceConv(4 * N_FULL, 5, 10)
    layer.norm = nn.Identity()
    return layer


def test_half_of_the_first_layer_has_nothing_to_say_of_constant_pixels():
    layer = differing()
    constant = normal(2, N_FULL, 1, 1).repeat_interleave(4, 1).expand(-1, -1, 6, 7)
    with torch.no_grad():
        out = layer(constant, torch.zeros(2, 5, 6, 7))
    assert out.shape == (2, 10, 6, 7)
    assert out[:, :5].abs().max() < 1e-5
    assert out[:, 5:].abs().amax((0, 2, 3)).min() > 1e-2


def test_half_of_the_first_layer_sees_no_absolute_value_of_any_channel():
    layer, pixels, other = differing(), normal(1, 4 * N_FULL, 6, 7), normal(1, 5, 6, 7)
    lighter = pixels.clone()
    lighter[:, 4:8] += 3.0  # the four pixels of the second channel
    with torch.no_grad():
        before, after = layer(pixels, other), layer(lighter, other)
        torch.testing.assert_close(after[:, :5], before[:, :5], atol=1e-4, rtol=0)
        assert (after[:, 5:] - before[:, 5:]).abs().max() > 0.1
        only_one = pixels.clone()
        only_one[:, 4] += 3.0  # one pixel of four: that is a difference
        assert (layer(only_one, other)[:, :5] - before[:, :5]).abs().max() > 0.1


def test_what_it_sees_does_not_depend_on_the_images_mean_colour():
    features, boundary, energy = normal(1, 9, 20, 30), normal(1, 1, 20, 30), normal(1, 18, 20, 30).abs()
    one = contour_inputs(features, boundary, energy)
    other = contour_inputs(features + 0.3, boundary, energy)
    assert one[0].shape == (1, N_FULL, 20, 30)
    assert one[1].shape == (1, N_HALF, 10, 15)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    # twice the contrast, twice the root of the energy
    torch.testing.assert_close(contour_inputs(features, boundary, 4 * energy)[1], 2 * one[1], atol=2e-3, rtol=0)
