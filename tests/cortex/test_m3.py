"""M3: its contract; one distance field per slot, barriers that count, inhibition, counts, texture, on known scenes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from ciliary.cortex import Cortex
from ciliary.cortex.ops.patches import border_graph
from ciliary.cortex.stages.m3_invariance import M3, N_SLOTS_MAX, inhibit, make_slots, texture_statistics
from ciliary.testing.stage import StageContract, arguments, photograph, with_cues
from ciliary_tests.theta_scenes import scene_theta


class TestM3(StageContract):
    name = "m3"
    choosing = frozenset({"linkage_exponent"})  # decides who merges; its gradient comes with the heights of M4

    @pytest.fixture
    def stage(self):
        return M3()


@pytest.fixture(scope="module")
def given_to_m3():
    with torch.no_grad():
        return arguments(Cortex(), "m3", photograph(), scene_theta(1), with_cues(photograph()))[:2]


def slots_of(given_, **settings):
    return make_slots(*given_, scene_theta(1, **settings))


# --- texture


@pytest.mark.parametrize("pool_px", [2.0, 5.0])
def test_texture_is_pooled_root_energy(pool_px):
    energy = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    ours = texture_statistics(energy, torch.tensor([pool_px]))
    root = np.sqrt(energy[0].double().numpy())
    pooled = gaussian_filter(root, (0, pool_px, pool_px), mode="reflect", truncate=5.5)
    expected = (pooled[:, 1::4] + pooled[:, 2::4]) / 2  # outputs sit between pixels 1 and 2 of each four
    expected = (expected[:, :, 1::4] + expected[:, :, 2::4]) / 2
    np.testing.assert_allclose(ours[0].numpy(), expected, atol=0.01)


# --- inhibition


def test_inhibition_by_hand():
    slots = torch.tensor([[[0.6, 0.3, 0.1]]])
    # 0.6 - 0.5 * 0.4 = 0.4; 0.3 - 0.5 * 0.7 < 0; 0.1 - 0.5 * 0.9 < 0
    out = inhibit(slots, torch.tensor([0.5]))[0, 0]
    torch.testing.assert_close(out, torch.tensor([1.0, 0, 0]), atol=1e-3, rtol=0)
    mild = inhibit(slots, torch.tensor([0.1]))[0, 0]
    torch.testing.assert_close(mild, torch.tensor([0.56, 0.23, 0.01]) / 0.8, atol=1e-3, rtol=0)


@given(st.integers(0, 1000), st.floats(0, 2))
def test_inhibition_keeps_the_simplex_and_the_order_and_sharpens(seed, gain):
    slots = torch.softmax(3 * torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed)), -1)
    out = inhibit(slots, torch.tensor([gain, 0.0]))
    torch.testing.assert_close(out.sum(-1), torch.ones(2, 5))
    assert (out >= 0).all()
    torch.testing.assert_close(out[1], slots[1], atol=1e-5, rtol=0)
    assert torch.equal(out.argmax(-1), slots.argmax(-1))
    assert (out[0].amax(-1) >= slots[0].amax(-1) - 1e-5).all()


def test_where_all_are_silenced_the_old_shares_stay():
    slots = torch.full((1, 2, 8), 1 / 8)
    torch.testing.assert_close(inhibit(slots, torch.tensor([2.0])), slots)


# --- slots


def test_slots_are_neither_one_nor_equal_shares(given_to_m3):
    """The lesson: slots that share one distance field stayed near 1/S everywhere."""
    out = slots_of(given_to_m3, n_slots=16.0, slot_temperature=0.05)
    assert out.slots.amax(1).mean() > 0.7
    used = (out.size > 1).sum()
    assert used == 16
    assert out.size.sum().item() == pytest.approx(64 * 96, rel=1e-4)


def test_each_slot_has_its_own_distance_field(given_to_m3):
    distance = slots_of(given_to_m3, n_slots=12.0).patch_distance[0]
    real = distance[:, distance.min(0).values == 0]
    assert real.shape[1] == 12
    assert (real >= 0).all()
    difference = (real[:, :, None] - real[:, None]).abs().amax(0)
    assert difference[~torch.eye(12, dtype=torch.bool)].min() > 0.02


def test_distances_are_dijkstras(given_to_m3):
    _, m2 = given_to_m3
    out = slots_of(given_to_m3, n_slots=10.0, geodesic_barrier_weight=1.5)
    length, strength = (x[0].double() for x in border_graph(out.patches.label, out.cue.shape[1], m2.barrier))
    step = (
        torch.cdist(out.cue[0].double(), out.cue[0].double()) ** 2 + 0.02**2
    ).sqrt() + 1.5 * strength / length.clamp_min(1)
    # Eight neighbours of each patch are kept, those with the longest borders.
    keep = length.topk(8, dim=1).indices
    mask = torch.zeros_like(length).scatter(1, keep, 1.0) * (length > 0)
    graph = csr_matrix((step * mask).T.numpy())
    for s in torch.nonzero(out.patch_distance[0].min(0).values == 0)[:, 0].tolist():
        field = out.patch_distance[0, :, s]
        expected = dijkstra(graph, indices=torch.nonzero(field == 0)[:, 0].numpy()).min(0)
        finite = np.isfinite(expected)
        np.testing.assert_allclose(field.numpy()[finite], expected[finite], atol=2e-3)


def test_a_barrier_makes_the_way_longer(given_to_m3):
    near, far = (slots_of(given_to_m3, n_slots=8.0, geodesic_barrier_weight=w).patch_distance for w in (0.02, 4.0))
    assert far[far < 100].mean() > 2 * near[near < 100].mean()


@pytest.mark.parametrize("n_slots", [2.0, 9.0, 31.0, 32.0])
def test_the_count_is_kept(given_to_m3, n_slots):
    out = slots_of(given_to_m3, n_slots=n_slots)
    assert (out.size > 1).sum() == n_slots
    assert out.assignment.shape[2] == N_SLOTS_MAX


def test_a_fraction_of_a_slot_lies_between(given_to_m3):
    sizes = [
        slots_of(given_to_m3, n_slots=n, slot_temperature=0.3).size[0].sort(descending=True).values
        for n in (6.0, 6.02, 7.0)
    ]
    assert (sizes[0] > 1).sum() == 6
    assert (sizes[2] > 1).sum() == 7
    assert (sizes[1] - sizes[0]).abs().max() < (sizes[2] - sizes[0]).abs().max()


def test_prototypes_and_sizes_are_means_and_sums(given_to_m3):
    out = slots_of(given_to_m3, n_slots=8.0)
    weight = (out.assignment * out.patches.size[..., None])[0]
    torch.testing.assert_close(out.size[0], weight.sum(0))
    real = weight.sum(0) > 1
    expected = (weight.T @ out.cue[0])[real] / weight.sum(0)[real, None]
    torch.testing.assert_close(out.prototype[0, real], expected, atol=1e-4, rtol=1e-3)


def test_borders_between_slots(given_to_m3):
    out = slots_of(given_to_m3, n_slots=8.0, slot_temperature=0.02)
    torch.testing.assert_close(out.border_length, out.border_length.transpose(1, 2), atol=1e-2, rtol=1e-3)
    assert (out.border_length.diagonal(dim1=1, dim2=2) == 0).all()
    assert (out.border_strength <= out.border_length + 1e-3).all()  # the barrier is at most 1
    hard = out.assignment[0].argmax(1)
    drawn = hard[out.patches.label[0]][None]
    expected = border_graph(drawn, N_SLOTS_MAX)[0]
    assert (out.border_length - expected).abs().max() < 0.2 * expected.max()


def test_temperature_softens(given_to_m3):
    certainty = [
        slots_of(given_to_m3, slot_temperature=t, inhibition_gain=0.01).assignment.amax(2).mean() for t in (0.02, 2.0)
    ]
    assert certainty[0] > certainty[1] + 0.1
