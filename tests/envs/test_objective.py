from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ciliary.cortex import Cortex
from ciliary.cortex.ops.smoothing import halve
from ciliary.envs.objective.reference import make_reference, rgb_to_lab
from ciliary.envs.objective.terms import (
    TERMS,
    Objective,
    ObjectiveSettings,
    collapse_loss,
    economy_loss,
    effective_segments,
    pooled_size,
    view_agreement,
)
from ciliary.envs.objective.views import affine_matrices, apply_views, sample_views, way_back

SIZE = (64, 96)
N_SLOTS = 32
COLOURS = torch.tensor(
    [
        [0.85, 0.2, 0.2],
        [0.2, 0.6, 0.25],
        [0.2, 0.3, 0.8],
        [0.9, 0.85, 0.3],
        [0.15, 0.15, 0.15],
        [0.9, 0.9, 0.9],
        [0.5, 0.2, 0.6],
        [0.4, 0.8, 0.8],
    ]
)


# --- scenes: labels (H, W), their image, and percepts of them in every view


def scene(kind, n, seed):
    rng = np.random.default_rng(seed)
    y, x = (torch.as_tensor(a) for a in np.mgrid[: SIZE[0], : SIZE[1]])
    if kind == "discs":
        labels = torch.zeros(SIZE, dtype=torch.long)
        for i in range(1, n):
            cy, cx, radius = rng.uniform(12, 52), rng.uniform(12, 84), rng.uniform(9, 20)
            labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = i
        return labels
    if kind == "stripes":
        angle = rng.uniform(0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        return ((along - along.min()) / (along.max() - along.min() + 1e-9) * n).long()
    return voronoi(n, rng)


def voronoi(n, rng):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    seeds = rng.uniform((0, 0), SIZE, (n, 2))
    return torch.as_tensor(((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1))


def paint(labels, noise, seed):
    rng = torch.Generator().manual_seed(seed)
    colours = COLOURS[torch.randperm(len(COLOURS), generator=rng)]
    image = colours[labels].movedim(-1, 0)
    return (image + noise * torch.randn(image.shape, generator=rng)).clamp(0, 1)[None]


def masks_of(labels):
    return F.one_hot(labels, N_SLOTS).movedim(-1, -3).float()


def seen_in_views(masks, views):
    """What a perfect eye perceives in the image and each of its views: (1+V, S, H, W)."""
    grid = F.affine_grid(
        affine_matrices(views, height=SIZE[0], width=SIZE[1]), [len(views), 1, *SIZE], align_corners=False
    )
    flipped = torch.where(views.is_flipped[:, None, None, None], masks.flip(-1), masks)
    seen = F.grid_sample(flipped, grid, mode="nearest", padding_mode="reflection", align_corners=False)
    return torch.cat([masks[None], seen])


def judge(image, masks, views, **options):
    """Terms of one percept given by its masks (1+V, S, H, W)."""
    objective = Objective()
    size = pooled_size(*SIZE, stride=objective.settings.stride)
    back = way_back(views, size=size, image_size=SIZE)[views.n_photometric :]
    energy = torch.rand(len(masks), 4, *SIZE, generator=torch.Generator().manual_seed(0)) ** 4
    coarse = halve(masks)[..., : masks.shape[-2] // 2, : masks.shape[-1] // 2]
    percept = SimpleNamespace(masks=masks, masks_coarse=coarse, energy=energy)
    reference = make_reference(image, size=size)
    terms = objective(percept, reference, back, n_views=len(views), n_photometric=views.n_photometric, **options)
    return {name: values.item() for name, values in terms.items()}


def degenerate_percepts(labels, views, seed):
    """Percepts that must lose against the truth, worst cases included: some are perfectly repeatable."""
    rng = torch.Generator().manual_seed(seed)
    n_rows = 1 + len(views)
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    blind_grid = (y * 4 // SIZE[0]) * 8 + x * 8 // SIZE[1]
    n_pieces = N_SLOTS // (int(labels.max()) + 1)
    shattered = labels * n_pieces + voronoi(n_pieces, np.random.default_rng(seed + 10**6))
    cells = voronoi(N_SLOTS, np.random.default_rng(seed + 2 * 10**6))
    stuck = [masks_of(z).expand(n_rows, -1, -1, -1) for z in (blind_grid, shattered)]
    soft = torch.full((n_rows, N_SLOTS, *SIZE), 1 / N_SLOTS)
    noise = torch.softmax(torch.randn(n_rows, N_SLOTS, *SIZE, generator=rng) * 5, 1)
    return {
        "uniform": soft,
        "nearly uniform": 0.99 * soft + 0.01 * seen_in_views(masks_of(labels), views),
        "one region": masks_of(torch.zeros(n_rows, *SIZE, dtype=torch.long)),
        "random, new in each view": noise,
        "random, the same in each view": noise[:1].expand(n_rows, -1, -1, -1),
        "random, moving with the scene": seen_in_views(masks_of(noise[0].argmax(0)), views),
        "blind grid": stuck[0],
        "shattered by a grid that stays": stuck[1],
        "shattered and repeatable": seen_in_views(masks_of(shattered), views),
        "blind cells and repeatable": seen_in_views(masks_of(cells), views),
    }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(["discs", "stripes", "voronoi"]),
    n=st.integers(2, 6),
    seed=st.integers(0, 10**5),
    noise=st.sampled_from([0.0, 0.03, 0.1]),
)
@pytest.mark.slow
def test_every_degenerate_percept_loses_against_the_truth(kind, n, seed, noise):
    labels = scene(kind, n, seed)
    share = torch.bincount(labels.flatten()).float() / labels.numel()
    assume(share.max() < 0.93)  # a scene that is one region is none
    views = sample_views(seed)
    image = paint(labels, noise, seed)
    truth = judge(image, seen_in_views(masks_of(labels), views), views)
    for name, masks in degenerate_percepts(labels, views, seed).items():
        terms = judge(image, masks, views)
        assert terms["total"] > truth["total"] + 0.01, (name, terms, truth)


@pytest.mark.parametrize("kind", ["discs", "stripes", "voronoi"])
def test_the_truth_scores_well_and_merging_two_regions_scores_worse(kind):
    labels, views = scene(kind, 5, 3), sample_views(3)
    image = paint(labels, 0.03, 3)
    truth = judge(image, seen_in_views(masks_of(labels), views), views)
    merged = judge(image, seen_in_views(masks_of(torch.where(labels == 1, 0, labels)), views), views)
    assert truth["stability"] < 0.06  # only the mixed pixels of averaged borders
    assert truth["consistency"] < 0.1
    assert truth["collapse"] < 0.25
    assert truth["total"] < merged["total"]
    assert all(0 <= truth[name] <= 1 for name in TERMS)


def test_the_classic_two_terms_alone_would_choose_a_blank_percept():
    # The point of the other two: uncorrected agreement cannot tell one region from perfection.
    labels, views = scene("voronoi", 5, 1), sample_views(1)
    image = paint(labels, 0.03, 1)
    one = judge(image, degenerate_percepts(labels, views, 1)["one region"], views, with_kl=True)
    truth = judge(image, seen_in_views(masks_of(labels), views), views, with_kl=True)
    assert one["symmetric_kl"] < truth["symmetric_kl"]
    assert one["total"] > truth["total"] + 0.5


def test_total_is_the_weighted_sum():
    labels, views = scene("stripes", 4, 0), sample_views(0)
    terms = judge(paint(labels, 0.05, 0), degenerate_percepts(labels, views, 0)["blind grid"], views)
    weights = ObjectiveSettings()
    assert terms["total"] == pytest.approx(sum(getattr(weights, name) * terms[name] for name in TERMS), abs=1e-6)
    assert sum(getattr(weights, name) for name in TERMS) == pytest.approx(1)


# --- the terms one by one


def test_a_view_percept_must_be_brought_back():
    labels, views = scene("voronoi", 5, 2), sample_views(2)
    masks = seen_in_views(masks_of(labels), views)[None]
    back = way_back(views, size=SIZE)[2:]
    undone = view_agreement(masks, back, n_photometric=2)["consistency"].item()
    left = view_agreement(masks, None, n_photometric=4)["stability"].item() * 2  # the moved views, compared as they are
    assert undone < 0.05
    assert left > 0.3


def test_a_term_without_views_of_its_kind_is_left_out():
    masks = torch.softmax(torch.randn(2, 2, 4, 8, 8), 2)
    terms = view_agreement(masks, None, n_photometric=1)
    assert set(terms) == {"stability"}
    with pytest.raises(ValueError, match="way back"):
        view_agreement(masks, None, n_photometric=0)


def test_effective_segments_by_hand():
    masks = torch.zeros(2, 4, 2, 4)
    masks[0, 0] = 1
    masks[1] = F.one_hot(torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]]), 4).movedim(-1, 0)
    assert effective_segments(masks).tolist() == pytest.approx([1, 4])


def test_doing_nothing_is_not_economical():
    energy = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)) ** 8
    halves = masks_of((torch.arange(16) > 7).long().expand(1, 16, 16))
    one = masks_of(torch.zeros(1, 16, 16, dtype=torch.long))
    cost = {
        name: economy_loss(m, e, min_segments=1.2).item()
        for name, m, e in [("two", halves, energy), ("one", one, energy), ("blank", one, 0 * energy)]
    }
    assert cost["two"] < cost["one"] < cost["blank"]
    assert cost["blank"] == pytest.approx(1)


def test_explained_variance_equals_the_analysis_of_variance():
    rng = torch.Generator().manual_seed(2)
    image = torch.rand(1, 3, 20, 30, generator=rng)
    reference = make_reference(image, size=(20, 30))
    labels = torch.randint(0, 6, (20, 30), generator=rng)
    features = reference.features[0].flatten(1).T
    within = sum(
        ((features[labels.flatten() == i] - features[labels.flatten() == i].mean(0)) ** 2).sum() for i in range(6)
    )
    expected = (features.pow(2).sum() - within) / 600 / reference.variance
    assert reference.explained(masks_of(labels)[None]).item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_reference_is_of_the_image_alone_and_its_grid_explains_more_with_more_cells():
    image = paint(scene("voronoi", 6, 4), 0.05, 4)
    reference = make_reference(image, size=(32, 48))
    table = reference.grid_explained[0]
    assert table[0].item() == pytest.approx(0, abs=1e-5)
    assert (table.diff() >= 0).all()
    assert table[-1] < 1
    knot = reference.explained_by_grid(torch.tensor([9.0])).item()
    assert knot == pytest.approx(table[4].item(), abs=1e-5)


def test_a_flat_image_has_nothing_to_explain():
    reference = make_reference(torch.full((1, 3, 24, 24), 0.4), size=(24, 24))
    halves = masks_of((torch.arange(24) > 11).long().expand(1, 24, 24))
    assert collapse_loss(halves, reference).item() == pytest.approx(np.tanh(1), abs=1e-3)


def test_lab_equals_scikit_image():
    skimage_color = pytest.importorskip("skimage.color")
    image = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = skimage_color.rgb2lab(image[0].movedim(0, -1).numpy())
    assert np.abs(rgb_to_lab(image)[0].movedim(0, -1).numpy() - expected).max() < 0.05


def test_softness_is_charged_only_where_it_hides_the_decision():
    labels, views = scene("voronoi", 5, 6), sample_views(6)
    image = paint(labels, 0.03, 6)
    hard = seen_in_views(masks_of(labels), views)
    totals = [judge(image, c * hard + (1 - c) / N_SLOTS, views)["total"] for c in (1.0, 0.7, 0.2, 0.05)]
    assert totals[1] == pytest.approx(totals[0], abs=0.02)
    assert totals[0] <= totals[1] < totals[2] < totals[3]


def test_non_finite_masks_are_passed_on():
    labels, views = scene("discs", 3, 0), sample_views(0)
    masks = seen_in_views(masks_of(labels), views).clone()
    masks[0, :, 5, 5] = float("nan")
    terms = judge(paint(labels, 0, 0), masks, views)
    assert all(np.isnan(terms[name]) for name in ("total", "stability", "consistency", "collapse"))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="weights >= 0"):
        ObjectiveSettings(stability=-1)
    with pytest.raises(ValueError, match="stride"):
        ObjectiveSettings(stride=0)


def test_odd_sizes_and_other_strides_are_pooled_too():
    image = torch.rand(1, 3, 33, 47)
    views = sample_views(0, n_photometric=1, n_geometric=1)
    percept = Cortex()(apply_views(image, views).flatten(0, 1)[[0, 0, 0]])
    for stride in (1, 2, 3):
        size = pooled_size(33, 47, stride=stride)
        back = way_back(views, size=size, image_size=(33, 47))[1:]
        objective = Objective(ObjectiveSettings(stride=stride))
        terms = objective(percept, make_reference(image, size=size), back, n_views=2, n_photometric=1)
        assert terms["total"].shape == (1,)
        assert torch.isfinite(terms["total"]).all()
