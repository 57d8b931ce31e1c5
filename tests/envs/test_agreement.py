import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import adjusted_rand_score

from ciliary.envs.objective.agreement import (
    adjusted_rand,
    contingency,
    matched_symmetric_kl,
    sharpen,
    soft_adjusted_rand,
)


def one_hot(labels, n_slots):
    return F.one_hot(torch.as_tensor(labels), n_slots).movedim(-1, 1).float()


def random_soft(seed, *, n_slots=5, batch=1, size=(9, 11), strength=3.0):
    noise = torch.randn(batch, n_slots, *size, generator=torch.Generator().manual_seed(seed))
    return torch.softmax(noise * strength, 1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 7), kk=st.integers(2, 7), flips=st.floats(0, 1))
def test_hard_partitions_agree_with_scikit_learn(seed, k, kk, flips):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, k, (1, 13, 17))
    b = np.where(rng.random(a.shape) < flips, rng.integers(0, kk, a.shape), a % kk)
    expected = adjusted_rand_score(a.ravel(), b.ravel())
    got = soft_adjusted_rand(one_hot(a, 8), one_hot(b, 7))
    if len(np.unique(a)) > 1 or len(np.unique(b)) > 1:
        assert got.item() == pytest.approx(expected, abs=1e-4)


def test_hand_worked_table():
    # Hubert & Arabie by hand: cells 2, 0 / 1, 3. Pairs: index 1+3=4, rows 1+6, columns 3+3, of 15.
    table = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]])
    expected = 7 * 6 / 15
    assert adjusted_rand(table).item() == pytest.approx((4 - expected) / (6.5 - expected), abs=1e-6)


def test_valid_pixels_only():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 1, 12, 12))
    b[:, :, :6] = a[:, :, :6]
    valid = np.zeros((1, 1, 12, 12), bool)
    valid[..., :8] = True
    got = soft_adjusted_rand(one_hot(a, 4), one_hot(b, 4), torch.as_tensor(valid).float())
    assert got.item() == pytest.approx(adjusted_rand_score(a[valid[0]], b[valid[0]]), abs=1e-5)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_symmetric_and_blind_to_the_names_of_segments(seed):
    p, q = random_soft(seed), random_soft(seed + 1) * 0.3 + random_soft(seed) * 0.7
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    value = soft_adjusted_rand(p, q)
    assert torch.allclose(value, soft_adjusted_rand(q, p), atol=1e-5)
    assert torch.allclose(value, soft_adjusted_rand(p, q[:, order]), atol=1e-5)
    assert value <= 1 + 1e-6


def test_chance_scores_nothing():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randint(0, 4, (2, 200, 16, 16), generator=rng)
    values = soft_adjusted_rand(one_hot(a, 4), one_hot(b, 4))
    assert abs(values.mean().item()) < 0.001
    plain = (contingency(one_hot(a, 4), one_hot(b, 4)).amax(2).sum(1) / 256).mean()
    assert plain > 0.25  # the uncorrected share of agreeing pixels does reward noise


def test_blank_percepts_earn_nothing():
    one = one_hot(torch.zeros(1, 30, 40, dtype=torch.long), 4)
    uniform = torch.full((1, 4, 30, 40), 0.25)
    halves = one_hot((torch.arange(40) > 19).long().expand(1, 30, 40), 4)
    assert soft_adjusted_rand(one, one).item() == 0
    assert soft_adjusted_rand(uniform, uniform).abs().item() < 0.005
    assert soft_adjusted_rand(one, halves).abs().item() < 1e-5
    assert soft_adjusted_rand(halves, halves).item() == pytest.approx(1, abs=1e-5)


def test_gradient_is_finite_and_points_towards_agreement():
    labels = torch.randint(0, 3, (1, 8, 8), generator=torch.Generator().manual_seed(1))
    logits = torch.zeros(1, 3, 8, 8) + 0.5 * one_hot(labels, 3)
    logits.requires_grad_()
    value = soft_adjusted_rand(torch.softmax(logits, 1), one_hot(labels, 3))
    value.sum().backward()
    better = soft_adjusted_rand(torch.softmax(logits + 10 * logits.grad, 1), one_hot(labels, 3))
    assert torch.isfinite(logits.grad).all()
    assert better.item() > value.item()
    for blank in (one_hot(torch.zeros(1, 8, 8, dtype=torch.long), 3), torch.full((1, 3, 8, 8), 1 / 3)):
        blank.requires_grad_()
        soft_adjusted_rand(blank, blank.detach()).sum().backward()
        assert torch.isfinite(blank.grad).all()


def test_non_finite_passes():
    p = random_soft(0).clone()
    p[0, 0, 0, 0] = float("nan")
    assert torch.isnan(soft_adjusted_rand(p, random_soft(1))).all()
    assert torch.isnan(soft_adjusted_rand(sharpen(p, power=4), random_soft(1))).all()


def test_batch_rows_do_not_mix():
    p, q = random_soft(2, batch=4), random_soft(3, batch=4)
    rows = torch.cat([soft_adjusted_rand(p[i : i + 1], q[i : i + 1]) for i in range(4)])
    assert torch.allclose(soft_adjusted_rand(p, q), rows, atol=1e-6)


def test_sharpen_keeps_the_simplex_the_decision_and_the_uniform_map():
    p = random_soft(5, strength=1.0)
    s = sharpen(p, power=4)
    assert torch.allclose(s, sharpen(p, power=4.0001), atol=1e-3)
    assert torch.allclose(s.sum(1), torch.ones(1, 9, 11), atol=1e-5)
    assert torch.equal(s.argmax(1), p.argmax(1))
    assert torch.allclose(sharpen(torch.full((1, 32, 2, 2), 1 / 32), power=4), torch.full((1, 32, 2, 2), 1 / 32))


def test_matched_kl_undoes_a_permutation_and_equals_scipy():
    p, q = random_soft(6, strength=5.0), random_soft(6, strength=4.0)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert matched_symmetric_kl(p, p[:, order]).item() == pytest.approx(0, abs=1e-6)
    a, b = (x[0].flatten(1).double().numpy() for x in (p, q))
    expected = (entropy(a, b).mean() + entropy(b, a).mean()) / 2
    got = matched_symmetric_kl(p, q[:, order], floor=1e-9).item()
    assert got == pytest.approx(expected, rel=1e-3)
    as_written = (0.5 * (p - q[:, order]) * (p.log() - q[:, order].log())).sum(1).mean()
    assert as_written > 5 * got  # the notes compared slot 1 with slot 1, whatever it was


def test_different_pixels_are_an_error():
    with pytest.raises(ValueError, match="same pixels"):
        contingency(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
