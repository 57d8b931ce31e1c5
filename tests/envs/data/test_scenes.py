"""Scenes: their answers are right, and each asks only its own question."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.scenes import SCENES, make_scene

EVERY_SCENE = pytest.mark.parametrize("kind", SCENES)
N_REGIONS = {"discs": 4, "stripes": 3, "mosaic": 5, "kanizsa": 6, "isoluminant": 2}


@EVERY_SCENE
@pytest.mark.parametrize("size", [(128, 192), (192, 128), (48, 48)])
@pytest.mark.parametrize("seed", range(6))
def test_image_and_labels(kind, size, seed):
    image, labels = make_scene(kind, seed=seed, size=size)
    assert image.shape == (3, *size)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert labels.shape == size
    assert labels.dtype == torch.int64
    assert labels.unique().tolist() == list(range(N_REGIONS[kind]))
    assert torch.bincount(labels.flatten()).min() >= 0.003 * labels.numel()


@EVERY_SCENE
def test_same_seed_same_scene_other_seed_other_scene(kind):
    first, again, other = (make_scene(kind, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def means(image: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean linear light of each region: (n, 3)."""
    light = srgb_to_linear(image)
    return torch.stack([light[:, labels == i].mean(1) for i in labels.unique()])


def test_discs_are_uniform_and_unlike():
    image, labels = make_scene("discs", seed=1, grain=0.0)
    for i in labels.unique():
        assert image[:, labels == i].std(1).max() < 1e-6
    distance = torch.cdist(means(image, labels), means(image, labels))
    assert distance[~torch.eye(4, dtype=torch.bool)].min() > 0.05


def test_discs_do_not_touch():
    for seed in range(20):
        _, labels = make_scene("discs", seed=seed, size=(64, 96))
        for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
            assert not ((a != b) & (a > 0) & (b > 0)).any()


@pytest.mark.parametrize("seed", range(4))
def test_stripes_differ_only_by_orientation(seed):
    image, labels = make_scene("stripes", seed=seed, grain=0.0)
    grey = image[0]
    for statistic in (torch.Tensor.mean, torch.Tensor.std):
        values = torch.stack([statistic(grey[labels == i]) for i in range(3)])
        assert values.max() - values.min() < 0.03
    # orientation of the structure tensor, in each band away from its borders
    dy, dx = torch.gradient(grey)
    inner = [labels == i for i in range(3)]
    angles = [0.5 * torch.atan2((2 * dx * dy)[m].mean(), (dx**2 - dy**2)[m].mean()) for m in inner]
    apart = [abs(float(torch.sin(angles[i] - angles[j]))) for i, j in ((0, 1), (1, 2), (0, 2))]
    np.testing.assert_allclose(apart, np.sin(np.pi / 3), atol=0.06)


@pytest.mark.parametrize("seed", range(4))
def test_mosaic_cells_share_mean_and_contrast(seed):
    image, labels = make_scene("mosaic", seed=seed, grain=0.0)
    mean = torch.stack([image[0][labels == i].mean() for i in range(5)])
    std = torch.stack([image[0][labels == i].std() for i in range(5)])
    assert (mean - 0.5).abs().max() < 0.05
    assert std.max() / std.min() < 1.6


def test_mosaic_cells_are_convex():
    """A Voronoi cell holds the midpoint of any two of its pixels."""
    _, labels = make_scene("mosaic", seed=0)
    rng = np.random.default_rng(0)
    for i in range(5):
        pixels = torch.nonzero(labels == i).numpy()
        first, second = (pixels[rng.integers(len(pixels), size=300)] for _ in range(2))
        even = ((first + second) % 2 == 0).all(1)
        middle = (first + second)[even] // 2
        assert (labels[middle[:, 0], middle[:, 1]] == i).all()


def test_kanizsa_contour_is_hardly_there_where_nothing_supports_it():
    image, labels = make_scene("kanizsa", seed=0, grain=0.0)
    ground, square = float(image[0][labels == 0].mean()), float(image[0][labels == 1].mean())
    discs = image[0][labels >= 2]
    assert 0 < square - ground < 0.05
    assert discs.max() < ground - 0.3


@pytest.mark.parametrize("seed", range(12))
def test_kanizsa_square_covers_a_quarter_of_each_disc(seed):
    """And the frame cuts none of them."""
    _, labels = make_scene("kanizsa", seed=seed, size=(256, 256))
    areas = torch.bincount(labels.flatten())
    side_px = float(areas[1]) ** 0.5
    visible = 0.75 * np.pi * (side_px / 6) ** 2  # radius is a sixth of the side: support ratio 1/3
    np.testing.assert_allclose(areas[2:].numpy(), visible, rtol=0.05)


@pytest.mark.parametrize("seed", range(12))
def test_isoluminant_regions_share_their_luminance_and_not_their_hue(seed):
    image, labels = make_scene("isoluminant", seed=seed, grain=0.0)
    colour = means(image, labels)
    luminance = colour @ torch.tensor([0.2126, 0.7152, 0.0722])
    torch.testing.assert_close(luminance, torch.full((2,), 0.18), rtol=0.005, atol=0)
    assert (colour[0] - colour[1]).abs().max() > 0.08


def test_an_unknown_scene_is_answered_with_the_list():
    with pytest.raises(ValueError, match="discs, stripes, mosaic, kanizsa, isoluminant"):
        make_scene("cats")


def test_a_scene_too_small_is_named():
    with pytest.raises(ValueError, match="at least 32 px"):
        make_scene("discs", size=(16, 64))
