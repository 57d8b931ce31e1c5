"""A calibration predicts what it was given to predict, survives its file, and drives the objective."""

import dataclasses
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex, default_unit
from ciliary.cortex.options import INHERITED, cortex_name, inherited_by
from ciliary.cortex.parameters import COLUMNS_V0, PARAMETERS, table_for
from ciliary.envs.config import EnvConfig
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.calibrated import CalibratedObjective
from ciliary.envs.objective.calibration import Calibration, load_calibration, shipped
from ciliary.envs.objective.make import make_objective, objective_mark
from ciliary.envs.objective.panel import consensus, cover_each_other, for_agreement, panel_agreement
from ciliary.envs.objective.reference import make_reference
from ciliary.envs.objective.terms import Objective, pooled_size
from ciliary.envs.objective.views import sample_views
from ciliary.envs.single import AccommodationEnv
from ciliary_tests.one_image import OneImage


def line(names, weights, *, bias=0.5, panel=0, **changes):
    n = len(names)
    settings = np.repeat(default_unit(1).numpy(), panel, 0)
    layers = ((np.array([weights], np.float32), np.array([bias], np.float32)),)
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    return Calibration(
        tuple(names), zeros, ones, layers, settings, settings, **{"parameters": PARAMETERS.names} | changes
    )


def image(seed=0, size=(32, 48)):
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 6, generator=rng)
    return torch.nn.functional.interpolate(coarse, size=size, mode="nearest")[0]


def test_a_line_by_hand():
    model = line(["a", "b"], [0.5, -0.25], bias=0.1)
    small = {"a": torch.tensor([0.01, 0.02]), "b": torch.tensor([0.02, 0.0])}  # where the soft clip is the identity
    torch.testing.assert_close(model.predict(small), torch.tensor([0.1, 0.11]), atol=1e-6, rtol=0)


def test_two_layers_and_the_clip_by_hand():
    layers = (
        (np.array([[1.0], [-1.0]], np.float32), np.zeros(2, np.float32)),
        (np.array([[1.0, 10.0]], np.float32), np.zeros(1, np.float32)),
    )
    one = np.ones(1, np.float32)
    model = Calibration(("a",), one, 2 * one, layers, np.zeros((0, len(COLUMNS_V0))), np.zeros((0, len(COLUMNS_V0))))
    z = 4 * np.tanh((np.array([1e6, -3.0]) - 1) / 2 / 4)
    expected = np.maximum(z, 0) + 10 * np.maximum(-z, 0)
    np.testing.assert_allclose(model.predict({"a": torch.tensor([1e6, -3.0])}).numpy(), expected, rtol=1e-5)


def test_a_file_keeps_everything(tmp_path):
    model = line(["a"], [0.5], panel=2, min_gain=0.01, n_views=3, about={"data": "made up", "seed": 1})
    model.save(tmp_path / "c.npz")
    again = load_calibration(tmp_path / "c.npz")
    for field in dataclasses.fields(model):
        one, other = getattr(model, field.name), getattr(again, field.name)
        if field.name == "layers":
            one, other = one[0][0], other[0][0]
        np.testing.assert_array_equal(one, other) if isinstance(one, np.ndarray) else None
        assert isinstance(one, np.ndarray) or one == other


def test_errors_name_the_next_move(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"scripts/calibrate\.py"):
        load_calibration(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match="not a calibration"):
        load_calibration(tmp_path / "bad.npz")
    with pytest.raises(KeyError, match="recalibrate"):
        line(["a"], [1.0]).predict({"b": torch.zeros(1)})
    with pytest.raises(ValueError, match="chain"):
        line(["a", "b"], [1.0])


def test_agreement_with_a_member_by_hand():
    left = torch.zeros(1, 2, 4, 8)
    left[:, 0, :, :4], left[:, 1, :, 4:] = 1, 1
    whole = torch.zeros(1, 2, 4, 8)
    whole[:, 0] = 1
    panel = torch.stack([for_agreement(left)[0], for_agreement(whole)[0]])[None]
    of_halves = panel_agreement(left, panel)
    of_whole = panel_agreement(whole, panel)
    assert of_halves["agreement.00"].item() == pytest.approx(1)
    assert of_halves["agreement.01"].item() == pytest.approx(0.5)  # the whole is best covered by one half
    assert of_whole["agreement.00"].item() == pytest.approx(0.5)


def test_total_is_one_minus_the_predicted_score_and_raw_stays_beside_it():
    model = line(["term.collapse", "feature.explained", "agreement.00"], [-0.1, 0.2, 0.3], panel=1)
    u = default_unit(3) + torch.linspace(0, 0.4, 3)[:, None]
    views = sample_views(0, n_photometric=0, n_geometric=0)
    cortex = Cortex()
    terms = OneImage(cortex, CalibratedObjective(model), views, image()).evaluate(u.numpy()).terms
    raw = OneImage(cortex, Objective(), views, image()).evaluate(u.numpy()).terms
    np.testing.assert_allclose(terms["total"], 1 - terms["predicted_score"], rtol=1e-6)
    np.testing.assert_allclose(terms["raw_total"], raw["total"], rtol=1e-5)
    np.testing.assert_allclose(terms["collapse"], raw["collapse"], rtol=1e-5)
    assert np.ptp(terms["total"]) > 0


def test_the_loss_has_a_gradient():
    model = line(["feature.explained", "feature.log_segments", "agreement.00"], [0.2, 0.1, 0.3], panel=1)
    views = sample_views(0, n_photometric=0, n_geometric=0)
    u = default_unit(1).requires_grad_()
    OneImage(Cortex(), CalibratedObjective(model), views, image()).loss(u).sum().backward()
    assert torch.isfinite(u.grad).all()
    assert u.grad.abs().max() > 0


def test_objectives_by_name(tmp_path):
    assert make_objective("raw").name == "raw"
    line(["feature.explained"], [1.0], n_views=0).save(tmp_path / "c.npz")
    objective = make_objective(tmp_path / "c.npz")
    assert objective.name == "calibrated"
    assert objective.n_views == 0


def test_the_shipped_calibration_loads_and_says_where_it_comes_from():
    model = load_calibration()
    assert {"data", "date", "seed", "form", "cross_validated"} <= set(model.about)
    assert np.isfinite(model.predict({name: torch.zeros(1) for name in model.names}).item())
    assert np.abs(model.starts).max() <= 1


def test_a_panel_in_several_passes_is_the_same_panel(monkeypatch):
    cortex, images = Cortex(), torch.stack([image(1), image(2)])
    u = (default_unit(3) + torch.linspace(0, 0.3, 3)[:, None]).numpy()
    objective = CalibratedObjective(replace(line(["feature.explained", "agreement.01"], [1.0, 1.0]), panel=u))

    def look(images):
        reference = make_reference(images, size=pooled_size(*images.shape[-2:], stride=2))
        return objective.make_panel(cortex, images, cortex.cues(images), reference)

    whole = look(images)
    monkeypatch.setattr("ciliary.envs.batch.MAX_PIXELS", 2 * 32 * 48)
    in_parts, alone = look(images), look(images[1:])
    assert whole.masks.shape[:2] == (2, 3)
    for kind in ("masks", "promise"):
        torch.testing.assert_close(getattr(in_parts, kind), getattr(whole, kind), atol=1e-5, rtol=0)
        torch.testing.assert_close(getattr(whole[1], kind), getattr(alone, kind), atol=1e-5, rtol=0)


def test_the_mark_follows_the_content_not_the_name(tmp_path):
    path = tmp_path / "c.npz"
    line(["feature.explained"], [1.0]).save(path)
    first = objective_mark(path)
    line(["feature.explained"], [2.0]).save(path)
    assert objective_mark(path) != first
    assert objective_mark("raw") == "raw"


def halves(*columns, n=8):
    """A partition (S, n, n) of a square into left and right at each of the columns."""
    label = np.searchsorted(np.array(columns), np.arange(n), side="right")
    return torch.nn.functional.one_hot(torch.as_tensor(label), 3).T[:, None].expand(3, n, n).float()


def test_consensus_by_hand():
    # two members halve the square, one leaves it whole, one cuts off a quarter
    panel = torch.stack([halves(4), halves(4), halves(), halves(2)])[None]
    # halves and whole cover each other by 1/2 (each segment's best overlap, either way);
    # halves and (2 | 6): left 2/4, right 4/6; by area 1/2 * 1/2 + 1/2 * 2/3 = 7/12, and 1/4 * 1/2 + 3/4 * 2/3 = 5/8
    quarter = (7 / 12 + 5 / 8) / 2
    # whole and (2 | 6): the whole's best is 6/8; (1/4 * 2/8 + 3/4 * 6/8) the other way
    whole = (6 / 8 + (2 / 32 + 18 / 32)) / 2
    expected = [(1 + 0.5 + quarter) / 3] * 2 + [(0.5 + 0.5 + whole) / 3, (quarter * 2 + whole) / 3]
    torch.testing.assert_close(consensus(cover_each_other(panel))[0], torch.tensor(expected), atol=1e-5, rtol=0)


def test_searches_begin_with_what_is_best_in_the_panel():
    env = AccommodationEnv(size_px=48)  # the default objective
    is_frozen, default = np.isin(env.parameter_names, env.frozen), env.default_u
    known = load_calibration()
    aligned = (PARAMETERS.align(known.parameters, x)[0] for x in (known.starts, known.panel))
    offered, panel = (np.where(is_frozen, default, x) for x in aligned)
    np.testing.assert_array_equal(env.starts, offered)
    env.reset(seed=0, options={"image": "coffee"})
    starts = env.starts
    assert sorted(map(tuple, starts)) == sorted(map(tuple, panel))
    # what the panel's members were promised is what they are worth when they are tried
    totals = env.evaluate(starts).terms["total"]
    assert (np.diff(totals) > -1e-5).all()
    assert totals[0] < totals[-1]
    raw = AccommodationEnv(size_px=48, objective="raw")
    raw.reset(seed=0)
    assert raw.starts is None


def test_where_a_prediction_takes_views_the_panel_goes_by_consensus():
    u = (default_unit(4) + torch.linspace(0, 0.6, 4)[:, None]).clamp(-1, 1).numpy()
    model = replace(line(["term.stability", "agreement.00"], [1.0, 1.0], n_views=2), panel=u)
    env = AccommodationEnv(objective=CalibratedObjective(model), size_px=48, disturbances=(None,))
    env.reset(seed=0, options={"image": "coffee"})
    masks = env.evaluator.look(env.episode.image[None], [0]).panel.masks
    order = consensus(cover_each_other(masks))[0].argsort(descending=True).numpy()
    expected = np.where(np.isin(env.parameter_names, env.frozen), env.default_u, model.panel[order])
    np.testing.assert_array_equal(env.starts, expected)


@pytest.mark.parametrize("kind", INHERITED)
def test_each_cortex_is_judged_by_its_own_calibration(kind):
    name = cortex_name(kind)
    assert inherited_by(name) == kind
    objective = make_objective(perceiver=name)
    assert objective.calibration.perceiver == name
    assert objective.panel_u.shape == (32, len(PARAMETERS))
    np.testing.assert_allclose(objective.panel_u[0], table_for(kind).default_unit()[0].numpy(), atol=1e-6)
    mark = hashlib.sha256(shipped(name).read_bytes()).hexdigest()[:16]
    assert objective_mark("calibrated", perceiver=name) == f"calibrated {mark}"


def test_another_perceiver_is_judged_by_agreement():
    assert shipped("slic") is inherited_by("slic") is None
    assert make_objective(perceiver="slic").name == "agreement"
    with pytest.raises(ValueError, match="no calibration of slic comes along"):
        objective_mark("calibrated", perceiver="slic")


def test_an_environment_asks_for_the_calibration_of_its_cortex():
    for kind in ("none", "contours"):
        evaluator = Evaluator.of(EnvConfig(cortex={"inherited": kind}))
        assert evaluator.perceiver.name == evaluator.objective.calibration.perceiver == cortex_name(kind)
    with pytest.raises(ValueError, match="made for the perceiver cortex, and cortex-contours is another"):
        Evaluator.of(EnvConfig(cortex={"inherited": "contours"}, objective=make_objective("calibrated")))
