"""Losses by hand, and that clone codes and a single expert lose under them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ciliary.tuning.training import losses


def one_hot(labels, k):
    return F.one_hot(torch.as_tensor(labels), k).movedim(-1, 0)[None].float()


HALVES = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, 0)


def test_a_mean_is_of_valid_pixels_only():
    x = torch.tensor([[1.0, 2.0], [5.0, 100.0]])[:, None, None]  # (2, 1, 1, 2)
    assert losses.masked_mean(x).item() == 27
    assert losses.masked_mean(x, torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)).item() == 3  # of all samples
    assert losses.masked_mean(x, torch.tensor([[1.0, 1.0], [1.0, 0.0]])[:, None, None]).item() == pytest.approx(8 / 3)
    assert losses.masked_mean(x, torch.zeros(2, 1, 1, 2)).item() == 0


def test_density_is_free_inside_its_range():
    contour = torch.tensor([0.0, 0.05, 0.1, 0.5]).view(4, 1, 1, 1).expand(4, 1, 4, 4)
    assert losses.density_excess(contour).item() == pytest.approx((0.03 + 0.38) / 4, rel=1e-4)


def test_info_nce_of_perfect_and_of_clone_codes():
    eye = torch.eye(8)
    assert losses.info_nce(eye, eye, temperature=0.05).item() < 1e-3
    clone = F.normalize(torch.ones(8, 8), dim=1)
    assert losses.info_nce(clone, clone, temperature=0.05).item() == pytest.approx(math.log(8), rel=1e-4)
    # a second view of the same thing in the batch is no negative
    same = torch.kron(torch.eye(4), torch.ones(2, 2)).bool()
    pairs = torch.eye(4).repeat_interleave(2, 0)
    assert losses.info_nce(pairs, pairs, temperature=0.05, same=same) < 1e-3
    assert losses.info_nce(pairs, pairs, temperature=0.05) > 0.6


def test_redundancy_of_clones_and_of_independent_channels():
    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    assert losses.redundancy(x.expand(-1, 3)).item() == pytest.approx(1, abs=1e-4)
    assert losses.redundancy(torch.randn(4000, 3, generator=torch.Generator().manual_seed(1))) < 1e-2


def test_overlap_by_hand():
    a, b = one_hot(HALVES, 2), one_hot(np.repeat([[0, 0, 1, 1, 1, 1, 1, 1]], 8, 0), 2)
    expected = torch.tensor([[[0.5, 2 / 8], [0.0, 4 / 6]]])
    torch.testing.assert_close(losses.overlap(a, b), expected, atol=1e-4, rtol=0)


def test_load_and_entropy_of_gates():
    even, one = torch.eye(4).repeat(3, 1), torch.tensor([[1.0, 0, 0, 0]]).repeat(12, 1)
    assert losses.load_imbalance(even).item() == pytest.approx(0, abs=1e-6)
    assert losses.load_imbalance(one).item() == pytest.approx(3, rel=1e-4)
    assert losses.gate_entropy(even).item() == pytest.approx(0, abs=1e-3)
    assert losses.gate_entropy(torch.full((5, 4), 0.25)).item() == pytest.approx(1, rel=1e-3)
