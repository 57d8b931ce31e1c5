"""Soft k-means: farthest-point seeds, counts with fractions and gradients, labels that survive noise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex.ops.kmeans import farthest_points, presence_mask, ramp, soft_assign, soft_kmeans, squared_distance


def points(seed=0, b=2, n=60, c=3):
    return torch.randn(b, n, c, generator=torch.Generator().manual_seed(seed))


def blobs(spread=0.05, n_each=40, seed=0):
    """(1, 4 n_each, 2) around four unequally far places, and their true labels."""
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    label = torch.arange(4).repeat(n_each)
    noise = torch.randn(len(label), 2, generator=torch.Generator().manual_seed(seed))
    return (corner[label] + spread * noise)[None], label, corner


# --- presence


def test_presence_by_hand():
    mask = presence_mask(torch.tensor([2.0, 3.25, 5.0]), 5)
    assert mask.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 0.25, 0], [1, 1, 1, 1, 1]]


@given(st.floats(0, 12, width=32))
def test_presence_sums_to_the_count_and_never_rises(count):
    mask = presence_mask(torch.tensor([count]), 12)[0]
    assert mask.sum().item() == pytest.approx(count, abs=1e-4)
    assert (mask.diff() <= 0).all()


@pytest.mark.parametrize("count", [2.0, 3.25, 4.0])
def test_a_count_has_a_gradient_also_at_whole_numbers(count):
    """torch's clamp has none at its bounds: the defaults are whole numbers, and would have been deaf."""
    value = torch.tensor([count], requires_grad=True)
    presence_mask(value, 5).sum().backward()
    assert value.grad.item() == 1


def test_ramp_by_hand():
    x = torch.tensor([-1.0, 0.0, 0.25, 1.0, 2.0], requires_grad=True)
    y = ramp(x)
    assert y.tolist() == [0, 0, 0.25, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 1, 0]


# --- seeds


def test_farthest_points_against_a_plain_loop():
    x = points()
    ours = farthest_points(x, 6)
    for i in range(len(x)):
        chosen = [int(((x[i] - x[i].mean(0)) ** 2).sum(1).argmin())]
        while len(chosen) < 6:
            nearest = torch.stack([((x[i] - x[i, k]) ** 2).sum(1) for k in chosen]).amin(0)
            chosen.append(int(nearest.argmax()))
        assert ours[i].tolist() == chosen


def test_seeds_are_distinct_and_the_same_every_time():
    x = points(3, b=1)
    torch.manual_seed(1)
    first = farthest_points(x, 12)
    torch.manual_seed(2)
    assert torch.equal(first, farthest_points(x, 12))
    assert len(first[0].unique()) == 12


# --- assignment


def test_squared_distance_against_cdist():
    a, b = points(0), points(1, n=7)
    torch.testing.assert_close(squared_distance(a, b), torch.cdist(a, b) ** 2, atol=1e-5, rtol=1e-5)
    assert (squared_distance(a, a) >= 0).all()


def test_assignment_against_the_definition():
    x, centres = points(0), points(1, n=4)
    temperature, presence = torch.tensor([0.5, 2.0]), torch.tensor([[1.0, 1, 1, 0.5], [1, 1, 0, 0]])
    ours = soft_assign(x, centres, temperature, presence)
    raw = presence[..., None] * torch.exp(-(torch.cdist(centres, x) ** 2) / temperature.view(-1, 1, 1))
    torch.testing.assert_close(ours, raw / raw.sum(1, keepdim=True), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.sum(1), torch.ones(2, 60))
    assert ours[1, 2:].max() < 1e-4  # absent


# --- clustering


def test_blobs_are_found():
    x, label, corner = blobs()
    centres, presence = soft_kmeans(x, count=torch.tensor([4.0]), temperature=torch.tensor([0.05]), n_max=8)
    assert presence[0].tolist() == [1] * 4 + [0] * 4
    assert torch.cdist(corner, centres[0, :4]).amin(1).max() < 0.03
    found = soft_assign(x, centres, torch.tensor([0.05]), presence)[0].argmax(0)
    assert len(torch.stack([found, label], 1).unique(dim=0)) == 4


def test_labels_are_the_same_in_a_noisy_view():
    """The lesson: centroids started at random permuted the labels between an image and its view."""
    x, *_ = blobs()
    view = x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
    labels = []
    for points_ in (x, view):
        count, temperature = torch.tensor([4.0]), torch.tensor([0.05])
        centres, presence = soft_kmeans(points_, count=count, temperature=temperature, n_max=8)
        labels.append(soft_assign(points_, centres, temperature, presence)[0].argmax(0))
    assert (labels[0] == labels[1]).float().mean() > 0.98


def test_identical_points_are_survived():
    x = torch.full((1, 30, 3), 0.4, requires_grad=True)
    centres, presence = soft_kmeans(x, count=torch.tensor([5.5]), temperature=torch.tensor([0.02]), n_max=8)
    torch.testing.assert_close(centres, torch.full((1, 8, 3), 0.4))
    soft_assign(x, centres, torch.tensor([0.02]), presence).square().sum().backward()
    assert torch.isfinite(x.grad).all()


def test_settings_are_per_sample():
    x = points().double()
    count, temperature = torch.tensor([3.0, 6.5]).double(), torch.tensor([0.3, 1.5]).double()
    together, _ = soft_kmeans(x, count=count, temperature=temperature, n_max=8)
    for i in range(2):
        alone, _ = soft_kmeans(x[i : i + 1], count=count[i : i + 1], temperature=temperature[i : i + 1], n_max=8)
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize("name", ["count", "temperature"])
def test_gradients_are_the_slopes(name):
    x = points(b=1).double()

    def value(v):
        setting = {"count": torch.tensor([4.4]).double(), "temperature": torch.tensor([0.8]).double(), name: v}
        centres, presence = soft_kmeans(x, **setting, n_max=6)
        return soft_assign(x, centres, setting["temperature"], presence).square().sum()

    v = torch.tensor([4.4 if name == "count" else 0.8], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(v), v)
    expected = (value(v + 1e-5) - value(v - 1e-5)) / 2e-5
    assert slope.item() == pytest.approx(expected.item(), rel=1e-4)
    assert slope.abs() > 1e-3
