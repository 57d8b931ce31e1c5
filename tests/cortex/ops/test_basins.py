"""Basins as atoms: means, sizes, centres, drawing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.ops.basins import Basins, make_basins
from ciliary.cortex.ops.patches import N_PATCHES, soft_patches
from ciliary.cortex.ops.watershed import watershed


def scene(b=2, c=3, size=(33, 46), seed=0):
    rng = torch.Generator().manual_seed(seed)
    height = F.interpolate(torch.randn(b, 1, 6, 8, generator=rng), size=size, mode="bicubic")[:, 0]
    return watershed(height), torch.randn(b, c, *size, generator=rng)


def test_means_sizes_and_centres():
    label, x = scene()
    basins = make_basins(label, x)
    n = int(label.max()) + 1
    assert basins.mean.shape == (2, n, 3)
    yx = torch.cartesian_prod(torch.arange(33.0), torch.arange(46.0)).reshape(33, 46, 2)
    for b in range(2):
        for i in range(n):
            where = label[b] == i
            assert basins.size[b, i] == where.sum()
            if where.any():
                torch.testing.assert_close(basins.mean[b, i], x[b][:, where].mean(1), atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(basins.centre_px[b, i], yx[where].mean(0))
            else:
                assert (basins.mean[b, i] == 0).all()
                assert (basins.centre_px[b, i] == 0).all()
    assert basins.size.sum(1).tolist() == [33 * 46] * 2


def test_coarse_features_of_a_scene_of_blocks():
    label = torch.arange(4).view(1, 2, 2).repeat_interleave(8, 1).repeat_interleave(8, 2)
    x = torch.arange(4.0).view(1, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(make_basins(label, x).mean[0, :, 0], torch.arange(4.0))


def test_a_basin_between_the_coarse_pixels_has_the_feature_at_its_centre():
    label = torch.zeros(1, 16, 16, dtype=torch.int64)
    label[0, 8, 8] = 1  # the middles of coarse pixels are at 2, 6, 10 and 14
    x = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
    mean = make_basins(label, x).mean[0, :, 0]
    torch.testing.assert_close(mean, torch.tensor([1.5, 1.625]))


@pytest.mark.parametrize("size", [(33, 46), (17, 23)])
def test_gradient_to_the_features(size):
    label, x = scene()
    x = F.interpolate(x, size=size).double().requires_grad_()
    weight = torch.randn(2, int(label.max()) + 1, 3, dtype=torch.float64)

    def loss(x):
        return (make_basins(label, x).mean * weight).sum()

    (slope,) = torch.autograd.grad(loss(x), x)
    step = torch.randn_like(x)
    torch.testing.assert_close((slope * step).sum(), loss(x + step) - loss(x))  # it is linear


def test_drawing():
    label, x = scene()
    basins = make_basins(label, x)
    values = torch.randn(2, basins.size.shape[1], 5, requires_grad=True)
    drawn = basins.render(values)
    assert drawn.shape == (2, 5, 33, 46)
    assert torch.equal(drawn[1, :, 7, 9], values[1, label[1, 7, 9]])
    coarse = basins.render(values, is_coarse=True)
    torch.testing.assert_close(coarse, F.avg_pool2d(drawn, 2))
    (slope,) = torch.autograd.grad(drawn.sum(), values)
    torch.testing.assert_close(slope, basins.size[..., None].expand_as(slope))
    weight = torch.randn_like(coarse)
    (ours,) = torch.autograd.grad((coarse * weight).sum(), values)
    (theirs,) = torch.autograd.grad((F.avg_pool2d(basins.render(values), 2) * weight).sum(), values)
    torch.testing.assert_close(ours, theirs)


def test_units_of_both_kinds_of_atoms():
    label, x = scene()
    assert make_basins(label, x).unit_px == pytest.approx(33 * 46 / N_PATCHES)
    patches = soft_patches(x, compactness=torch.ones(2), sharpness=torch.ones(2))
    assert patches.unit_px == 33 * 46 / patches.size.shape[1]


def test_neither_neighbours_in_the_batch_nor_padding_change_a_picture():
    label, x = scene(b=3)
    together = make_basins(label, x)
    for i in range(3):
        alone: Basins = make_basins(label[i : i + 1], x[i : i + 1])
        n = alone.size.shape[1]
        torch.testing.assert_close(together.mean[i, :n], alone.mean[0])
        assert torch.equal(together.size[i, :n], alone.size[0])
        assert (together.size[i, n:] == 0).all()
