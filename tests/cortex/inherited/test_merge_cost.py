"""The cost of merging: monotone, the same on lists and tables, and weighed by the parameters."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex.ops.pair_cost import PairInputs, cost_table
from ciliary.cortex.ops.patches import border_graph
from ciliary.cortex.ops.region_graph import region_graph
from ciliary.cortex.ops.watershed import watershed
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.m1_taught import N_CODE
from ciliary.cortex.stages.merge_cost import APART, EITHER, N_LOCAL_CUES, MergeCost, merge_odds, pair_evidence

N_CUES = N_LOCAL_CUES + N_CODE
CONTOUR = APART.index("contour")


def random_model(seed):
    """Any weights, as learning might leave them."""
    rng = torch.Generator().manual_seed(seed)
    model = MergeCost()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(3 * torch.randn(p.shape, generator=rng))
        model.mean.copy_(torch.randn(model.mean.shape, generator=rng))
        model.spread.copy_(torch.rand(model.spread.shape, generator=rng) + 0.1)
    return model


@given(st.integers(0, 10_000), st.sampled_from(range(len(APART))), st.floats(0, 5))
def test_more_that_speaks_against_a_merge_never_makes_it_cheaper(seed, entry, more):
    model = random_model(seed)
    evidence = 2 * torch.randn(50, len(APART) + len(EITHER), generator=torch.Generator().manual_seed(seed + 1))
    raised = evidence.clone()
    raised[:, entry] += more
    with torch.no_grad():
        assert (model(raised) - model(evidence)).min() >= -1e-4


def test_an_untaught_model_sees_contours():
    evidence = torch.zeros(2, len(APART) + len(EITHER))
    evidence[1, CONTOUR] = 1.0
    weak, strong = MergeCost()(evidence)
    assert strong > weak


def scene(n_cues=N_CUES, b=2, size=(24, 31)):
    """Basins of a random height, random cues, a random contour: as a list of edges, and as tables."""
    rng = torch.Generator().manual_seed(0)
    height = F.interpolate(torch.randn(b, 1, 4, 5, generator=rng), size=size, mode="bicubic")[:, 0]
    label = watershed(height)
    n = int(label.max()) + 1
    mass = torch.stack([torch.bincount(x.flatten(), minlength=n) for x in label]).float()
    cue, contour = torch.randn(b, n, n_cues, generator=rng), torch.rand(b, 1, *size, generator=rng)
    graph = region_graph(label, n, contour)
    return cue, mass, graph, border_graph(label, n, contour)


def on_edges(cue, mass, graph):
    b, n, c = cue.shape
    i, j, sample = graph.first, graph.second, torch.arange(b).repeat_interleave(n)
    rows, mass = cue.reshape(b * n, c), mass.flatten()
    return PairInputs(rows[i], rows[j], mass[i], mass[j], graph.length, graph.sums, sample[i])


def theta_of(**settings):
    """Another for each of the two pictures."""
    theta = default_theta(2)
    theta |= {name: value * torch.tensor([1.0, 0.5]) for name, value in theta.items() if name != "n_slots"}
    return theta | {name: torch.tensor(value) for name, value in settings.items()}


@pytest.mark.parametrize("n_trunk", [0, 4])
def test_lists_and_tables_say_the_same_of_the_same_regions(n_trunk):
    cue, mass, graph, (length, strength) = scene(N_CUES + n_trunk)
    theta, found = theta_of(), []

    def keep(pairs):
        found.append(pair_evidence(pairs, theta, image_px=24.0 * 31))
        return pairs.length

    cost_table(keep, cue * mass[..., None], mass, length, strength[..., None])
    (table,), n = found, cue.shape[1]
    edges = pair_evidence(on_edges(cue, mass, graph), theta, image_px=24.0 * 31)
    assert edges.shape == (len(graph.first), len(APART) + len(EITHER))
    same = table[graph.first // n, graph.first % n, graph.second % n]
    torch.testing.assert_close(edges, same, atol=2e-3, rtol=1e-4)
    trunk = edges[:, APART.index("trunk")]
    assert (trunk.std() > 0) == bool(n_trunk)


def test_it_does_not_matter_which_of_two_is_first():
    cue, mass, graph, _ = scene()
    one = on_edges(cue, mass, graph)
    other = PairInputs(one.mean_j, one.mean_i, one.size_j, one.size_i, one.length, one.sums, one.sample)
    a, b = (pair_evidence(pairs, theta_of(), image_px=744.0) for pairs in (one, other))
    torch.testing.assert_close(a, b)


def test_evidence_by_hand():
    """A region of 4 pixels beside one of 12 in an image of 16; a border of 4 with a contour of 0.5."""
    one, other = torch.zeros(1, N_CUES), torch.zeros(1, N_CUES)
    one[0, :3] = torch.tensor([0.3, 0.4, 0.0])
    one[0, 3] = 9.0  # depth is not looked at
    size = [torch.tensor([x]) for x in (4.0, 12.0, 4.0)]
    pairs = PairInputs(one, other, *size, torch.tensor([[2.0]]), torch.tensor([0]))
    found = pair_evidence(pairs, default_theta(1), image_px=16.0)[0]
    by_name = dict(zip((*APART, *EITHER), found.tolist(), strict=True))
    assert by_name["contour"] == pytest.approx(0.5)
    assert by_name["contour_log_odds"] == pytest.approx(0, abs=1e-6)
    assert by_name["colour"] == pytest.approx(0.5, abs=1e-5)
    assert by_name["texture"] == by_name["regions"] == by_name["code"] == by_name["trunk"] == pytest.approx(0, abs=2e-3)
    assert by_name["log_smaller"] == pytest.approx(-1.38629, abs=1e-4)
    assert by_name["log_larger"] == pytest.approx(-0.28768, abs=1e-4)
    assert by_name["log_enclosure"] == pytest.approx(-0.57236, abs=1e-4)  # 4 / (2 sqrt(4 pi))


def test_closure_weighs_the_contour():
    cue, mass, graph, _ = scene()
    pairs, model = on_edges(cue, mass, graph), MergeCost()
    weights = [torch.tensor([x, x]) for x in (0.2, 0.4)]
    less, more = (merge_odds(model, theta_of(closure_weight=x), image_px=744.0)(pairs) for x in ([0.2] * 2, [0.4] * 2))
    assert (more >= less * (1 - 1e-5)).all()
    assert (more > less).any()
    # twice the weight is twice the contour
    twice = PairInputs(
        *(getattr(pairs, k) for k in ("mean_i", "mean_j", "size_i", "size_j", "length")), 2 * pairs.sums, pairs.sample
    )
    torch.testing.assert_close(
        merge_odds(model, theta_of() | {"closure_weight": weights[0]}, image_px=744.0)(twice),
        more,
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_cost_is_positive_and_has_gradients_in_the_setting_even_where_nothing_is_to_see():
    cue, mass, graph, _ = scene()
    pairs = on_edges(0 * cue, mass, graph)
    theta = {name: value.requires_grad_() for name, value in theta_of().items()}
    cost = merge_odds(random_model(0), theta, image_px=744.0)(pairs)
    assert (cost > 0).all()
    for slope in torch.autograd.grad(cost.log().sum(), [theta["closure_weight"], theta["linkage_exponent"]]):
        assert torch.isfinite(slope).all()
        assert (slope != 0).all()
