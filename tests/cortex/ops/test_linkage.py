"""The merging cost, by hand."""

import pytest
import torch

from ciliary.cortex.ops.linkage import contrast_linkage


def cost(exponent=1.0, contour_weight=0.0, unit_size=1.0, size=(2.0, 6.0), strength=0.0, length=4.0):
    mean = torch.tensor([[[0.0, 0.0], [1.0, 2.0]]])
    size = torch.tensor([size])
    edge = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    link = contrast_linkage(
        exponent=torch.tensor([exponent]), contour_weight=torch.tensor([contour_weight]), unit_size=unit_size
    )
    return link(mean * size[..., None], size, length * edge, strength * edge)[0]


def test_ward_by_hand():
    # n1 n2 / (n1 + n2) = 12 / 8, squared distance 5
    assert cost()[0, 1].item() == pytest.approx(7.5)
    torch.testing.assert_close(cost(), cost().T)


def test_centroid_linkage_ignores_sizes():
    assert cost(0.0)[0, 1].item() == pytest.approx(5)
    assert cost(0.0, size=(200.0, 1.0))[0, 1].item() == pytest.approx(5)


def test_sizes_count_in_units():
    assert cost(unit_size=2.0)[0, 1].item() == pytest.approx(3.75)
    assert cost(0.5, unit_size=2.0)[0, 1].item() == pytest.approx(0.75**0.5 * 5)


def test_contour_is_its_mean_along_the_border_squared():
    assert cost(0.0, contour_weight=3.0, strength=2.0, length=4.0)[0, 1].item() == pytest.approx(5 + 3 * 0.25)
    assert cost(0.0, contour_weight=3.0, strength=0.0)[0, 1].item() == pytest.approx(5)


def test_weights_are_per_sample_and_empty_groups_are_finite():
    size = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    exponent = torch.tensor([0.0, 1.2], requires_grad=True)
    link = contrast_linkage(exponent=exponent, contour_weight=torch.tensor([0.0, 1.0]), unit_size=1.0)
    value = link(torch.ones(2, 2, 3) * size[..., None], size, torch.zeros(2, 2, 2), torch.zeros(2, 2, 2))
    assert torch.isfinite(value).all()
    value.sum().backward()
    assert torch.isfinite(exponent.grad).all()
