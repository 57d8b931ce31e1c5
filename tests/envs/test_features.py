"""Features of a percept: worked-by-hand scenes, what may not matter, and covering against the labelled-side measure."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex.parameters import PARAMETERS, default_unit
from ciliary.envs.objective.features import FEATURES, percept_features
from ciliary.envs.objective.reference import make_reference

H, W = 32, 48
N_SLOTS = 8
N_STEPS = H * (W - 1) + (H - 1) * W
OF_THE_IMAGE = ("image_contrast", "image_edges", "image_noise")


def columns():
    return torch.arange(W).expand(H, W)


def two_colours():
    """(1, 3, 2H, 2W): red left, blue right."""
    left = (torch.arange(2 * W) < W).view(1, 1, 1, -1)
    red, blue = (torch.tensor(c).view(1, 3, 1, 1) for c in ([0.8, 0.3, 0.2], [0.2, 0.3, 0.7]))
    return torch.where(left, red, blue).expand(1, 3, 2 * H, 2 * W).contiguous()


def hard(labels, n_slots=N_SLOTS):
    """(1, S, H, W) of a label map."""
    return F.one_hot(labels, n_slots).movedim(-1, 0)[None].float()


LABELS = {
    "true": (columns() >= W // 2).long(),
    "shifted": (columns() >= W // 2 + 8).long(),
    "one": torch.zeros(H, W, dtype=torch.long),
    # Both colours cut in four bands each: the border is there, and many more with nothing across them.
    "shattered": (columns() >= W // 2).long() * 4 + torch.arange(H)[:, None] // (H // 4),
}
RNG = torch.Generator().manual_seed(0)
LABELS["noise"] = torch.randint(0, N_SLOTS, (H, W), generator=RNG)
SCENE = make_reference(two_colours(), size=(H, W))


def features(masks, reference=SCENE, u=None):
    reference = reference[torch.zeros(len(masks), dtype=torch.int64)] if len(reference) == 1 else reference
    return percept_features(masks, reference, default_unit(len(masks)) if u is None else u, default_unit())


@pytest.fixture(scope="module")
def told():
    """Each feature of each partition of the scene."""
    out = features(torch.cat([hard(labels) for labels in LABELS.values()]))
    return {name: dict(zip(LABELS, values.tolist(), strict=True)) for name, values in out.items()}


def soft(seed, n=1, n_slots=N_SLOTS, strength=3.0):
    noise = torch.randn(n, n_slots, 5, 7, generator=torch.Generator().manual_seed(seed))
    return torch.softmax(strength * F.interpolate(noise, size=(H, W), mode="bilinear"), 1)


# --- by hand


def test_every_name_has_a_number_for_every_percept():
    out = features(soft(0, n=3))
    assert tuple(out) == FEATURES
    assert all(values.shape == (3,) and values.dtype == torch.float32 for values in out.values())


def test_numbers_and_sizes_of_segments(told):
    expected = {"true": math.log(2), "one": 0.0, "shattered": math.log(8)}
    for name, log_segments in expected.items():
        assert told["log_segments"][name] == pytest.approx(log_segments, abs=1e-5)
        assert told["largest_share"][name] == pytest.approx(math.exp(-log_segments), abs=1e-5)
    share = np.array([32, 16]) / W
    assert told["log_segments"]["shifted"] == pytest.approx(-(share * np.log(share)).sum(), abs=1e-5)
    assert told["largest_share"]["shifted"] == pytest.approx(2 / 3)


def test_confidence_is_the_mean_winning_share():
    masks = 0.7 * hard(LABELS["true"]) + 0.3 * hard(1 - LABELS["true"])
    assert features(masks)["confidence"].item() == pytest.approx(0.7)
    uniform = torch.full((1, N_SLOTS, H, W), 1 / N_SLOTS)
    assert features(uniform)["confidence"].item() == pytest.approx(1 / N_SLOTS)


def test_the_true_partition_explains_the_scene(told):
    explained = told["explained"]
    assert explained["true"] > 0.9
    assert explained["one"] == pytest.approx(0, abs=1e-4)
    assert explained["true"] > explained["shifted"] + 0.2
    assert explained["shattered"] >= explained["true"] - 1e-4  # a finer partition explains no less ...
    beyond = told["explained_beyond_grid"]
    assert beyond["true"] >= beyond["shattered"] - 1e-4  # ... but a grid of as many cells explains much too
    assert beyond["noise"] < -0.5 < 0 < beyond["true"] + 0.05
    residual = told["log_residual"]
    assert residual["true"] < residual["shifted"] < residual["one"]


def test_density_of_borders_by_counting(told):
    density = told["border_density"]
    assert density["true"] == pytest.approx(H / N_STEPS, rel=1e-5)
    assert density["shifted"] == pytest.approx(H / N_STEPS, rel=1e-5)
    assert density["one"] == pytest.approx(0, abs=1e-6)
    assert density["shattered"] == pytest.approx((H + 3 * W) / N_STEPS, rel=1e-5)


def test_borders_lie_where_the_image_changes_or_do_not(told):
    contrast = told["border_contrast"]
    assert contrast["true"] > contrast["shattered"] > contrast["shifted"]
    assert contrast["true"] > 1 > 0 > contrast["shifted"]
    assert abs(contrast["noise"]) < 0.3  # borders anywhere are on edges by chance
    recall = told["edge_recall"]
    assert recall["one"] == pytest.approx(0, abs=1e-5)
    assert recall["shifted"] == pytest.approx(0, abs=0.02)
    assert recall["shattered"] >= recall["true"] > 0.2  # of an edge some pixels wide one pixel is border
    assert recall["true"] > 10 * recall["shifted"]


def test_neighbours_that_hardly_differ(told):
    weak, contrast = told["weak_border_share"], told["neighbour_contrast"]
    assert weak["true"] < 0.06
    # 32 px of border between colours, 144 within them.
    assert weak["shattered"] == pytest.approx(3 * W / (3 * W + H), abs=0.06)
    assert weak["one"] == pytest.approx(0, abs=1e-5)  # no border, no weak one
    assert contrast["true"] > contrast["shifted"] > contrast["one"]
    assert contrast["true"] > contrast["shattered"] > contrast["noise"]


def test_the_contrast_of_neighbours_is_the_distance_of_their_means(told):
    mean = [SCENE.features[0][:, LABELS["true"] == k].mean(1) for k in (0, 1)]
    assert told["neighbour_contrast"]["true"] == pytest.approx(math.log1p((mean[0] - mean[1]).norm().item()), rel=1e-4)


def test_perimeter_by_hand(told):
    """Border over root of area, by area: two halves of H x W/2 with H px of border each."""
    roundness = H / math.sqrt(H * W / 2)
    assert told["perimeter"]["true"] == pytest.approx(math.log1p(roundness), rel=1e-4)
    assert told["perimeter"]["one"] == pytest.approx(0, abs=1e-5)
    assert told["perimeter"]["noise"] > told["perimeter"]["shattered"] > told["perimeter"]["true"]


def test_distance_from_the_defaults():
    u = default_unit(2)
    u[1, :5] += 0.4
    far = features(hard(LABELS["true"]).expand(2, -1, -1, -1), u=u)["prior_distance"]
    assert far[0].item() == pytest.approx(0, abs=1e-3)
    assert far[1].item() == pytest.approx(0.4 * math.sqrt(5 / len(PARAMETERS)), abs=1e-3)


def test_what_is_of_the_image_is_the_same_for_all_percepts(told):
    for name in OF_THE_IMAGE:
        assert len(set(told[name].values())) == 1, name


def test_images_differ_in_contrast_edges_and_noise():
    grainy = (two_colours() + 0.05 * torch.randn(1, 3, 2 * H, 2 * W, generator=RNG)).clamp(0, 1)
    pale = 0.5 + 0.2 * (two_colours() - 0.5)
    plain, noisy, faint = (
        features(hard(LABELS["true"]), make_reference(x, size=(H, W))) for x in (two_colours(), grainy, pale)
    )
    assert noisy["image_noise"] > plain["image_noise"] + 1
    assert faint["image_contrast"] < plain["image_contrast"] - 1
    assert faint["image_edges"] < plain["image_edges"]
    assert noisy["image_edges"] > plain["image_edges"]


# --- what may not matter


@given(st.integers(0, 10**6))
def test_names_of_segments_do_not_matter(seed):
    masks = soft(seed)
    order = torch.randperm(N_SLOTS, generator=torch.Generator().manual_seed(seed))
    one, other = features(masks), features(masks[:, order])
    for name in FEATURES:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-4, msg=name)


def test_empty_slots_do_not_matter():
    masks = soft(1)
    one, other = features(masks), features(F.pad(masks, (0, 0, 0, 0, 3, 5)))
    for name in FEATURES:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-4, msg=name)


def test_turning_image_and_partition_upside_down_does_not_matter():
    one = features(hard(LABELS["shattered"]))
    other = features(hard(LABELS["shattered"]).flip(2, 3), make_reference(two_colours().flip(2, 3), size=(H, W)))
    for name in FEATURES:
        torch.testing.assert_close(one[name], other[name], atol=1e-3, rtol=1e-3, msg=name)


def test_percepts_of_a_batch_do_not_mix():
    images = torch.cat([two_colours(), torch.rand(1, 3, 2 * H, 2 * W, generator=RNG)])
    reference, masks = make_reference(images, size=(H, W)), soft(2, n=2)
    together = features(masks, reference)
    for i in range(2):
        alone = features(masks[i : i + 1], reference[torch.tensor([i])])
        for name in FEATURES:
            torch.testing.assert_close(together[name][i : i + 1], alone[name], atol=1e-4, rtol=1e-4, msg=name)


# --- gradients and extremes

IMAGES = {
    "scene": two_colours(),
    "black": torch.zeros(1, 3, 2 * H, 2 * W),
    "grey": torch.full((1, 3, 2 * H, 2 * W), 0.5),
    "noise": torch.rand(1, 3, 2 * H, 2 * W, generator=RNG),
    "checks": ((torch.arange(2 * W) + torch.arange(2 * H)[:, None]) % 2).float().expand(1, 3, -1, -1).contiguous(),
}


@pytest.mark.parametrize("image", IMAGES)
def test_features_and_gradients_are_finite(image):
    reference = make_reference(IMAGES[image], size=(H, W))
    uniform = torch.full((1, N_SLOTS, H, W), 1 / N_SLOTS)
    masks = torch.cat([*(hard(labels) for labels in LABELS.values()), soft(3), uniform]).requires_grad_()
    u = default_unit(len(masks)).requires_grad_()
    for name, values in features(masks, reference, u).items():
        assert torch.isfinite(values).all(), name
        assert values.requires_grad == (name not in OF_THE_IMAGE), name
        if values.requires_grad:
            given = u if name == "prior_distance" else masks
            (slope,) = torch.autograd.grad(values.sum(), given, retain_graph=True)
            assert torch.isfinite(slope).all(), name


@pytest.mark.parametrize("name", [name for name in FEATURES if name not in (*OF_THE_IMAGE, "prior_distance")])
def test_each_gradient_is_the_slope(name):
    masks = soft(4, strength=1.0)
    way = soft(5, strength=1.0) - masks  # stays on the simplex
    masks.requires_grad_()
    (gradient,) = torch.autograd.grad(features(masks)[name].sum(), masks)
    step = 1e-2
    with torch.no_grad():
        ahead, behind = features(torch.cat([masks + step * way, masks - step * way]))[name]
    slope = (gradient * way).sum().item()
    assert abs(slope) > 1e-4
    assert (ahead - behind).item() / (2 * step) == pytest.approx(slope, rel=0.05, abs=2e-3)


# --- covering
