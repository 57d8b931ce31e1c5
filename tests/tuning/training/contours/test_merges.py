"""The cost of merging is taught: people's shares and pairs by hand, toy rules, and scenes that it tells apart."""

from functools import partial

import numpy as np
import pytest
import torch

from ciliary.cortex.ops.basins import make_basins
from ciliary.cortex.ops.pair_cost import strength_cost
from ciliary.cortex.ops.region_graph import region_graph
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_REGIONS_MAX
from ciliary.cortex.stages.merge_cost import APART, EITHER, N_TEXTURE_STATISTICS
from ciliary.tuning.training.contours import merges
from ciliary.tuning.training.contours.merges import Scene, asked_pairs, fit_cost, learn_cost, people_of

N_CUES = N_COLOUR + 1 + N_TEXTURE_STATISTICS + N_REGIONS_MAX
N_EVIDENCE = len(APART) + len(EITHER)


def blocks(n_rows, n_columns, px=6):
    """(1, H, W): a name for each block of a grid."""
    label = torch.arange(n_rows * n_columns).view(n_rows, n_columns)
    return label.repeat_interleave(px, 0).repeat_interleave(px, 1)[None]


def scene_of_halves(n_rows=2, n_columns=2, *, grain=0.0, seed=0):
    """Blocks whose left half is dark and whose right half is bright, with a contour between; and what people drew."""
    label = blocks(n_rows, n_columns)
    half = (torch.arange(label.shape[2]) >= label.shape[2] // 2).expand(label.shape[1:])
    rng = torch.Generator().manual_seed(seed)
    contour = grain * torch.rand(1, 1, *half.shape, generator=rng)
    middle = half.shape[1] // 2
    contour[..., middle - 1 : middle + 1] = 0.9 - contour[..., middle - 1 : middle + 1]
    basins = make_basins(label, half[None, None].float())
    n = n_rows * n_columns
    cue = grain * torch.randn(n, N_CUES, generator=rng)
    cue[:, 0] += basins.mean[0, :, 0]
    return Scene(basins, cue, region_graph(label, n, contour), default_theta(1)), half.numpy().astype(np.int32)


# --- what people say


def test_shares_of_people_by_hand():
    """A basin that a person's line cuts in two lies in both regions."""
    basins = make_basins(blocks(1, 2), torch.zeros(1, 1, 6, 12))
    line = np.zeros((6, 12), np.int32)
    line[:, 3:] = 7  # through the middle of the first basin
    people = people_of(basins, [line, np.zeros((6, 12), np.int32)])
    torch.testing.assert_close(people, torch.tensor([[0.5, 0.5, 1.0], [0.0, 1.0, 1.0]]))


@pytest.mark.parametrize("n_people", [1, 3])
def test_shares_add_up_to_the_number_of_people(n_people):
    scene, _ = scene_of_halves(3, 4)
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 5, (18, 24)) for _ in range(n_people)]
    people = people_of(scene.basins, maps)
    torch.testing.assert_close(people.sum(1), torch.full((12,), float(n_people)))


def test_pairs_of_two_halves():
    scene, half = scene_of_halves()
    people = people_of(scene.basins, [half, half])
    evidence, apart, weight = asked_pairs(scene, people, 2, strength_cost, seed=0)
    contour = evidence[:, APART.index("contour")]
    assert torch.equal(apart, (contour > 0.5).float())
    # four borders; then, with both halves merged, one; its weight is the root of half the image
    assert apart.tolist().count(0.0) == 2
    assert apart[-1] == 1
    assert weight[-1] == pytest.approx(0.5**0.5)
    assert evidence.shape == (len(apart), N_EVIDENCE)


def test_two_who_do_not_agree():
    scene, half = scene_of_halves()
    people = people_of(scene.basins, [half, 0 * half])
    evidence, apart, _ = asked_pairs(scene, people, 2, strength_cost, seed=0)
    torch.testing.assert_close(apart, 0.5 * (evidence[:, APART.index("contour")] > 0.5).float())


def test_a_round_of_many_pairs_is_sampled_and_weighs_as_much(monkeypatch):
    scene, half = scene_of_halves(6, 8, grain=0.05)
    people = people_of(scene.basins, [half])
    _, _, all_weight = asked_pairs(scene, people, 1, strength_cost, seed=0)
    monkeypatch.setattr(merges, "_N_EACH_ROUND", 20)
    evidence, _, weight = asked_pairs(scene, people, 1, strength_cost, seed=0)
    assert len(evidence) < len(all_weight)
    assert weight.sum() == pytest.approx(float(all_weight.sum()), rel=0.2)


# --- fitting


def test_a_toy_rule_is_learned():
    """Apart where contour and colour together are above their mean."""
    rng = torch.Generator().manual_seed(0)
    evidence = torch.rand(600, N_EVIDENCE, generator=rng) * torch.linspace(0.1, 9.0, N_EVIDENCE)
    unit = evidence / torch.linspace(0.1, 9.0, N_EVIDENCE)
    score = unit[:, APART.index("contour")] + unit[:, APART.index("colour")]
    apart = (score > 1).float()
    before = torch.get_rng_state()
    model = fit_cost(evidence, apart, torch.ones(600), n_steps=150)
    assert torch.equal(torch.get_rng_state(), before)
    right = (model(evidence) > 0) == (apart > 0)
    assert right.float().mean() > 0.93


def test_a_share_is_learned_as_its_log_odds():
    model = fit_cost(torch.zeros(50, N_EVIDENCE), torch.full((50,), 0.8), torch.ones(50), n_steps=60)
    assert torch.sigmoid(model(torch.zeros(N_EVIDENCE))).item() == pytest.approx(0.8, abs=0.03)


def test_a_cost_taught_on_scenes_tells_them_apart(monkeypatch):
    monkeypatch.setattr(merges, "fit_cost", partial(fit_cost, n_steps=60))
    scenes = []
    for seed in range(3):
        scene, half = scene_of_halves(4, 6, grain=0.2, seed=seed)
        scenes.append((scene, people_of(scene.basins, [half]), 1))
    model = learn_cost(scenes, n_rounds=2)
    scene, half = scene_of_halves(4, 6, grain=0.2, seed=9)  # another
    people = people_of(scene.basins, [half])
    evidence, apart, _ = asked_pairs(scene, people, 1, scene.cost(model), seed=0)
    odds = model(evidence)
    assert odds[apart > 0.5].min() > 0 > odds[apart < 0.5].max()
    # grown with it, the tree has the halves last
    tree = scene.tree(scene.cost(model))
    heights = tree.height[torch.isfinite(tree.height)].sort().values
    assert heights[-1] > 1 > heights[-2]
