"""Integration of looks: scenes worked by hand, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import adapted_rand_error
from torch import Tensor

from ciliary.cortex.integration.looks import Looks, edges_of, join_looks
from ciliary.cortex.integration.percept import IntegratedPercept, integrate

H, W = 24, 32


def halves() -> Tensor:
    """Left and right."""
    return (torch.arange(W) >= W // 2).long().expand(H, W)


def quarters() -> Tensor:
    """The halves, each in two."""
    return 2 * halves() + (torch.arange(H) >= H // 2).long()[:, None]


def noise(seed: int) -> Tensor:
    """Blocks of 4 x 4 pixels with random labels."""
    coarse = torch.randint(0, 5, (H // 4, W // 4), generator=torch.Generator().manual_seed(seed))
    return coarse.repeat_interleave(4, 0).repeat_interleave(4, 1)


def looks(*maps: Tensor, weight: Tensor | None = None) -> Looks:
    segments = torch.stack([one.contiguous() for one in maps])[None]
    return Looks(segments, edges_of(segments), torch.ones(1, len(maps)) if weight is None else weight)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two maps (H, W) are the same partition, whatever the numbers: by an independent library."""
    return bool(adapted_rand_error(one.numpy(), other.numpy(), ignore_labels=())[0] < 1e-9)


@pytest.mark.parametrize("contour_weight", [0.0, 0.5])
@pytest.mark.parametrize("make", [halves, quarters])
def test_identical_looks_give_that_look_back(make, contour_weight):
    found = integrate(looks(*[make()] * 5), contour_weight=contour_weight)
    assert same(found.segments[0], make())
    torch.testing.assert_close(found.uncertainty, torch.zeros(1, 1, H, W))
    assert found.agreement.item() == pytest.approx(1)
    assert set(found.masks.unique().tolist()) == {0.0, 1.0}


def test_one_look_is_that_look():
    assert same(integrate(looks(quarters())).segments[0], quarters())


def test_one_outlier_among_nine_changes_nothing():
    found = integrate(looks(*[quarters()] * 8, noise(0)))
    assert same(found.segments[0], quarters())
    assert 0 < found.uncertainty.max() <= 1 / 9 + 1e-6  # the eight agree wholly


def test_neither_order_nor_numbers_matter():
    maps = [halves(), quarters(), noise(1), noise(2), quarters()]
    there = integrate(looks(*maps))
    turned = [7 - 1 - one for one in maps]
    back = integrate(looks(*turned[::-1]))
    assert same(there.segments[0], back.segments[0])
    torch.testing.assert_close(there.uncertainty, back.uncertainty)
    torch.testing.assert_close(there.boundary, back.boundary)


def test_two_levels_are_recovered():
    # Three of four looks part left and right alone, one parts the quarters too.
    found = integrate(looks(halves(), halves(), halves(), quarters()), contour_weight=0.0)
    across, down = found.separation[0]
    assert across[0, W // 2 - 1].item() == pytest.approx(1.0)  # all part left from right
    assert down[H // 2 - 1, 0].item() == pytest.approx(0.25)  # one of four parts top from bottom
    assert (across > 0).sum() == H
    assert (down > 0).sum() == W
    assert same(found.segments[0], halves())
    fine = integrate(looks(halves(), halves(), halves(), quarters()), contour_weight=0.0, cut=0.2)
    assert same(fine.segments[0], quarters())


def test_the_cut_need_not_be_level():
    # All see the left quarters; what is right is one to most. A level cut at any height has either both or neither.
    left_only = torch.where(halves() == 0, quarters(), 2)
    found = integrate(looks(left_only, left_only, left_only, quarters()), contour_weight=0.0)
    assert same(found.segments[0], left_only)


def test_weights_count_and_nothing_weighs_nothing():
    heavy = integrate(looks(halves(), quarters(), weight=torch.tensor([[1.0, 9.0]])))
    assert same(heavy.segments[0], quarters())
    silent = integrate(looks(halves(), noise(0), weight=torch.tensor([[1.0, 0.0]])))
    assert same(silent.segments[0], halves())
    torch.testing.assert_close(silent.uncertainty, torch.zeros(1, 1, H, W))


def test_reliability_0_is_silence():
    trust = torch.ones(1, 3, H, W)
    trust[:, 2] = 0
    given = looks(quarters(), quarters(), noise(3))
    found = integrate(Looks(given.segments, given.boundary, given.weight, trust))
    alone = integrate(looks(quarters(), quarters()))
    assert same(found.segments[0], quarters())
    for name in ("boundary", "uncertainty", "masks"):
        torch.testing.assert_close(getattr(found, name), getattr(alone, name), atol=1e-5, rtol=0)


def test_a_look_counts_where_it_is_reliable():
    # One look sees the left well and a little beyond, the other the right; each is noise elsewhere.
    x = torch.arange(W).expand(H, W)
    seen = torch.stack([x < W // 2 + 4, x >= W // 2 - 4])
    given = looks(torch.where(seen[0], quarters(), noise(4) + 9), torch.where(seen[1], quarters(), noise(5) + 9))
    found = integrate(Looks(given.segments, given.boundary, given.weight, seen[None].float()))
    assert same(found.segments[0], quarters())


def test_scenes_of_a_batch_do_not_know_each_other():
    first, second = [halves(), quarters(), noise(6)], [noise(7), quarters(), quarters()]
    both = join_batch(looks(*first), looks(*second))
    found = integrate(both)
    for i, maps in enumerate((first, second)):
        alone = integrate(looks(*maps))
        assert same(found.segments[i], alone.segments[0])
        torch.testing.assert_close(found.uncertainty[i], alone.uncertainty[0])
        torch.testing.assert_close(found.separation[i], alone.separation[0])
    one = found[1]
    assert isinstance(one, IntegratedPercept)
    assert len(one.segments) == 1


def join_batch(*parts: Looks) -> Looks:
    return Looks(*(torch.cat([getattr(p, n) for p in parts]) for n in ("segments", "boundary", "weight")))


def test_looks_can_be_added():
    early = looks(halves(), quarters())
    joined = join_looks([early, looks(noise(8))])
    assert len(joined) == 3
    torch.testing.assert_close(
        integrate(joined).uncertainty, integrate(looks(halves(), quarters(), noise(8))).uncertainty
    )
    with pytest.raises(ValueError, match="same scenes at one size"):
        join_looks([early, Looks(*(torch.zeros(1, 1, 8, 8),) * 2, torch.ones(1, 1))])


def test_masks_are_on_the_simplex_and_labels_have_no_gaps():
    found = integrate(looks(*[noise(i) for i in range(6)]))
    torch.testing.assert_close(found.masks.sum(1), torch.ones(1, H, W))
    labels = found.labels((2 * H + 1, 2 * W - 3))
    assert labels.shape == (1, 2 * H + 1, 2 * W - 3)
    assert np.array_equal(labels.unique().numpy(), np.arange(int(labels.max()) + 1))
    assert found.masks_coarse.shape == (1, found.masks.shape[1], H // 2, W // 2)


def test_the_agreed_cut_is_the_best_of_all_cuts():
    """No merging or splitting of one group at a time agrees better than what was found from the leaves upward."""
    given = looks(*[noise(i) for i in range(4)], halves(), quarters())
    best = integrate(given).agreement.item()
    levels = [integrate(given, cut=c).agreement.item() for c in np.linspace(0, 1.5, 16)]
    assert best >= max(levels) - 1e-6


def test_soft_masks_are_as_reliable_as_they_are_decided():
    masks = torch.stack([(quarters() == i).float() for i in range(4)])[None, None]
    soft = Looks.of_masks(0.6 * masks + 0.1)
    assert soft.reliability is not None
    assert soft.reliability.unique().tolist() == pytest.approx([0.7])
    assert same(integrate(soft).segments[0], quarters())


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="expected segments and boundary"):
        Looks(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4), torch.ones(1, 2))
