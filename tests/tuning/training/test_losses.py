"""Losses by hand, and that blank, uniform, random and clone solutions lose under them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ciliary.tuning.training import losses


def one_hot(labels, k):
    return F.one_hot(torch.as_tensor(labels), k).movedim(-1, 0)[None].float()


def soft(labels, k, sureness=0.9):
    return one_hot(labels, k) * sureness + (1 - sureness) / k


HALVES = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, 0)
UNIFORM = torch.full((1, 2, 8, 8), 0.5)


def test_information_by_hand():
    balance, doubt = losses.region_information(one_hot(HALVES, 2))
    assert balance.item() == pytest.approx(1, abs=1e-4)
    assert doubt.item() == pytest.approx(0, abs=1e-4)
    for trivial, expected in ((UNIFORM, (1, 1)), (one_hot(np.zeros((8, 8), int), 2), (0, 0))):
        balance, doubt = losses.region_information(trivial)
        assert (balance.item(), doubt.item()) == pytest.approx(expected, abs=1e-3)


def m1_total(regions, labels):
    balance, doubt = losses.region_information(regions)
    together = losses.togetherness(regions, labels, seed=0)
    return float(3 * together + 0.3 * (1 - balance.mean()) + 0.1 * doubt.mean())


def test_uniform_blank_and_random_regions_lose():
    labels = torch.as_tensor(HALVES)[None, None].expand(1, 3, -1, -1)
    noise = torch.randint(2, (8, 8), generator=torch.Generator().manual_seed(0)).numpy()
    right = m1_total(soft(HALVES, 2), labels)
    for wrong in (UNIFORM, soft(np.zeros((8, 8), int), 2), soft(noise, 2)):
        assert right < m1_total(wrong, labels) - 0.1


def test_togetherness_aims_at_the_share_of_settings_that_agree():
    # two of four segmentations join everything, two split it: the coefficient across should be 1/2, not 0 or 1
    split, whole = torch.as_tensor(HALVES), torch.zeros(8, 8, dtype=torch.int64)
    labels = torch.stack([split, split, whole, whole])[None]

    def at(p):  # left (p, 1-p), right (1-p, p)
        left = torch.tensor([p, 1 - p], dtype=torch.float32)[:, None, None]
        regions = torch.where(split == 0, left, left.flip(0))[None]
        return float(losses.togetherness(regions, labels, seed=0))

    best = min((at(p), p) for p in np.linspace(0.51, 0.999, 60))[1]
    coefficient = 2 * math.sqrt(best * (1 - best))
    assert coefficient == pytest.approx(0.5, abs=0.1)


def test_uniform_regions_have_a_way_out():
    """At the uniform map itself nothing says which way to part; a hair beside it, something must."""
    labels = torch.as_tensor(HALVES)[None, None].expand(1, 3, -1, -1)
    tilt = 0.05 * (torch.as_tensor(HALVES).float() - 0.5)
    logits = torch.stack([tilt, -tilt])[None].requires_grad_()
    losses.togetherness(torch.softmax(logits, 1), labels, seed=0).backward()
    assert (logits.grad[0, 0] * tilt < 0).float().mean() > 0.8  # downhill is away from uniform


def test_smoothness_stops_at_edges_and_at_the_barrier():
    regions = one_hot(HALVES, 2)
    edge, flat = torch.as_tensor(HALVES)[None, None].float(), torch.zeros(1, 1, 8, 8)
    one = losses.edge_aware_smoothness(regions, flat, sigma=0.1)
    assert one.item() == pytest.approx(0.5 * 2 * 8 / (8 * 7), rel=1e-4)  # 8 of 56 pairs across change by 2
    assert losses.edge_aware_smoothness(regions, edge, sigma=0.1) < 1e-6
    barrier = torch.zeros(1, 1, 8, 8)
    barrier[..., 3:5] = 1
    assert losses.edge_aware_smoothness(regions, flat, sigma=0.1, barrier=barrier) < 1e-6


def test_symmetric_kl_by_hand_on_valid_pixels_only():
    p, q = torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.5])
    expected = 0.5 * float((p * (p / q).log()).sum() + (q * (q / p).log()).sum())
    full = [x[None, :, None, None].expand(1, 2, 1, 2).clone() for x in (p, q)]
    assert losses.symmetric_kl(*full).item() == pytest.approx(expected, rel=1e-3)
    full[1][0, :, 0, 1] = torch.tensor([1e-5, 1 - 1e-5])
    valid = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    assert losses.symmetric_kl(*full, valid).item() == pytest.approx(expected, rel=1e-3)


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


def test_objectness_at_zero_or_one_loses_to_what_lasts():
    again, weight = torch.tensor([[0.9, 0.1, 0.8]]), torch.ones(1, 3)
    honest = losses.weighted_bce(again, again, weight)
    for wrong in (torch.zeros(1, 3), torch.ones(1, 3), torch.full((1, 3), 0.5)):
        assert honest < losses.weighted_bce(wrong, again, weight)
