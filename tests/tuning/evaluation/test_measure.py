"""What is measured of a case: every column, the right way round, and the same whenever it is measured again."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex.stages.inherited import left_out_path
from ciliary.envs.data.labelled import read_labelled_folder
from ciliary.envs.metrics.regions import region_scores
from ciliary.envs.objective.panel import for_agreement, panel_agreement
from ciliary.tuning.calibration.candidates import spread_settings
from ciliary.tuning.evaluation import measure
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.measure import Measure, MeasureSettings, see
from ciliary_tests.labelled import write_labelled
from ciliary_tests.untaught import write_untaught

U = spread_settings(3)
FOG = Case("im0", "fog:3", seed=5)
WHOLE = MeasureSettings(size_px=64, n_views=2, score_stride=1, n_panel=3)
PEOPLE = ("covering", "pri", "voi")


@pytest.fixture(scope="module")
def item(tmp_path_factory):
    return read_labelled_folder(write_labelled(tmp_path_factory.mktemp("labelled") / "l", n_images=1))[0]  # 64 x 48


@pytest.fixture(scope="module")
def columns(item):
    return Measure(WHOLE)(item, FOG, U)


def test_every_setting_gets_a_number_in_every_column(columns):
    assert {name.partition(".")[0] for name in columns} == {"term", "feature", "agreement", "covered", "score"}
    assert {values.shape for values in columns.values()} == {(3,)}
    assert {values.dtype for values in columns.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(values).all() for values in columns.values())
    assert {name for name in columns if name.startswith("score.")} == {f"score.{name}" for name in PEOPLE}
    assert [name for name in columns if name.startswith("agreement.")] == [f"agreement.{k:02d}" for k in range(3)]
    assert len({values.tobytes() for name, values in columns.items() if name.startswith("term.")}) >= 5


def test_signs_and_ranges(columns):
    for name in ("score.covering", "score.pri", "agreement.00", "covered.02", "term.collapse", "term.stability"):
        assert columns[name].min() >= 0, name
        assert columns[name].max() <= 1, name
    assert columns["score.voi"].max() <= 0  # bits lost and gained, turned round


def test_scores_are_highest_for_what_people_drew(item):
    def scores(labels):
        percept = SimpleNamespace(labels=lambda shape: torch.from_numpy(labels[None]))
        return {name: values[0] for name, values in Measure(WHOLE)._scores(percept, one).items()}

    one = SimpleNamespace(segmentations=item.segmentations[:1])
    drawn = item.segmentations[0]
    rough = np.where(np.arange(drawn.shape[1]) < drawn.shape[1] // 2, 0, drawn)
    best, worse = scores(drawn), scores(rough)
    assert best == pytest.approx({"score.covering": 1, "score.pri": 1, "score.voi": 0}, abs=1e-6)
    assert all(best[name] > worse[name] for name in best)


def test_people_are_asked_at_every_other_pixel(item):
    asked = []
    percept = SimpleNamespace(labels=lambda shape: asked.append(shape) or torch.zeros(1, *shape, dtype=torch.int32))
    Measure(MeasureSettings(score_stride=2))._scores(percept, item)
    assert asked == [(24, 32)]


def test_agreement_one_way_is_covered_the_other_way(columns):
    """The panel is all that was measured: that i covers the segments of k is that k is covered by i."""
    agreement, covered = (np.stack([columns[f"{name}.{k:02d}"] for k in range(3)]) for name in ("agreement", "covered"))
    np.testing.assert_allclose(agreement, covered.T, atol=1e-5)
    assert not np.allclose(agreement, agreement.T, atol=1e-3)  # or the other way round would not show
    assert (agreement.argmax(1) == np.arange(3)).all()  # none covers a percept better than itself


maps = st.lists(st.integers(0, 2), min_size=12, max_size=12)


@given(maps, maps)
def test_agreement_of_hard_masks_is_the_covering_of_label_maps(one, other):
    labels = [np.array(flat).reshape(3, 4) for flat in (one, other)]
    masks = [torch.nn.functional.one_hot(torch.from_numpy(np.kron(x, np.ones((2, 2), int))), 3) for x in labels]
    first, second = (x.permute(2, 0, 1)[None].float() for x in masks)
    panel = for_agreement(torch.cat([first, second]))[None]
    found = panel_agreement(first, panel)
    assert found["agreement.00"].item() == pytest.approx(1, abs=1e-5)
    assert found["covered.00"].item() == pytest.approx(1, abs=1e-5)
    assert found["agreement.01"].item() == pytest.approx(region_scores(labels[0], [labels[1]])["covering"], abs=1e-5)
    assert found["covered.01"].item() == pytest.approx(region_scores(labels[1], [labels[0]])["covering"], abs=1e-5)


def test_a_percept_without_doubt_agrees_with_itself(item, monkeypatch):
    def hard(percept, settings):
        labels = percept.m4.masks_coarse.argmax(1)[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
        return torch.nn.functional.one_hot(labels, percept.m4.masks_coarse.shape[1]).permute(0, 3, 1, 2).float()

    monkeypatch.setattr(measure, "coarse_masks", hard)
    columns = Measure(MeasureSettings(size_px=64, n_views=0, n_panel=3))(item, FOG, U)
    for k in range(3):
        assert columns[f"agreement.{k:02d}"][k] == pytest.approx(1, abs=1e-5)
        assert columns[f"covered.{k:02d}"][k] == pytest.approx(1, abs=1e-5)


def test_the_panel_is_the_first_settings_and_changes_nothing_else(item, columns):
    small = Measure(MeasureSettings(size_px=64, n_views=2, score_stride=1, n_panel=1))(item, FOG, U)
    assert set(columns) - set(small) == {f"{name}.{k:02d}" for name in ("agreement", "covered") for k in (1, 2)}
    for name, values in small.items():
        np.testing.assert_allclose(values, columns[name], atol=1e-6, err_msg=name)
    none = Measure(MeasureSettings(size_px=64, n_views=2, score_stride=1))(item, FOG, U[:1])
    assert not [name for name in none if name.startswith(("agreement.", "covered."))]


def test_measured_again_it_is_the_same(item, columns):
    again = pickle.loads(pickle.dumps(Measure(WHOLE)))(item, FOG, U)  # as a worker gets it
    for name, values in columns.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_the_seed_is_of_the_views_and_of_the_disturbance(item):
    noise = [Case("im0", "gaussian_noise:3", seed) for seed in (1, 1, 2)]
    one, same, other = (see(item, case, size_px=48) for case in noise)
    assert one.shape == (1, 3, 36, 48)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    clean = [Measure(WHOLE)(item, Case("im0", "none", seed), U[:1]) for seed in (1, 2)]
    assert clean[0]["score.covering"] == clean[1]["score.covering"]
    assert clean[0]["term.stability"] != clean[1]["term.stability"]


def test_without_views_agreement_over_views_is_not_measured(item, columns):
    without = Measure(MeasureSettings(size_px=64, n_views=0, score_stride=1))(item, FOG, U)
    missing = {name for name in set(columns) - set(without) if name.startswith("term.")}
    assert missing == {"term.stability", "term.consistency"}
    np.testing.assert_allclose(without["score.covering"], columns["score.covering"], atol=1e-5)


def test_each_image_is_seen_by_stages_that_were_taught_without_it(item, tmp_path):
    for k, name in enumerate(("im0", "im1")):
        write_untaught(left_out_path(tmp_path, "contours", k), seed=k, without=(name,))
    cortex = {"inherited": "contours"}
    how = MeasureSettings(cortex=cortex, size_px=64, n_views=0, left_out=tmp_path)
    measured = pickle.loads(pickle.dumps(Measure(how)))(item, FOG, U)
    file = str(left_out_path(tmp_path, "contours", 0))
    expected = Measure(MeasureSettings(cortex=cortex | {"inherited_weights": file}, size_px=64, n_views=0))
    for name, values in expected(item, FOG, U).items():
        np.testing.assert_array_equal(measured[name], values, err_msg=name)
    seers = [Measure(how).cortex_for(name) for name in ("im0", "im1")]
    weights = [torch.cat([p.flatten() for p in cortex.m2.parameters()]) for cortex in seers]
    assert not torch.equal(*weights)


def test_the_distance_from_the_defaults_is_that_of_the_cortex(item, tmp_path):
    file = str(write_untaught(tmp_path / "w.safetensors"))
    how = MeasureSettings(cortex={"inherited": "contours", "inherited_weights": file}, size_px=64, n_views=0)
    u = spread_settings(2, table=how.table)
    assert not np.array_equal(u[0], U[0])  # other defaults
    distance = Measure(how)(item, FOG, u)["feature.prior_distance"]
    assert distance[0] < 1e-3 < distance[1]
