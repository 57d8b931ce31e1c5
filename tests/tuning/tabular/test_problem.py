"""Problems of OptunaHub's kind: what samplers see, what they do not, and how they are loaded."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import optuna
import pytest

from ciliary.tuning.tabular.benchmark import REGISTRY, Benchmark
from ciliary_tests.toys import table_of

optunahub = pytest.importorskip("optunahub", reason="needs OptunaHub (pip install 'ciliary[optuna]')")
from ciliary.tuning.tabular.problem import ResponseTableProblem  # noqa: E402
from ciliary.tuning.tabular.search import SAMPLERS, choices_of, exhaustive  # noqa: E402

N = 24


def benchmark_of(scores=None, n_images=4):
    """A bowl of two parameters around a place of each image; the scores know better."""
    rng = np.random.default_rng(0)
    u = rng.uniform(-1, 1, (N, 2))
    places = rng.uniform(-0.5, 0.5, (n_images, 2))
    bowl = ((u - places[:, None]) ** 2).sum(2)
    table = table_of(rng.random((n_images, N)) if scores is None else scores, u=u, term_dissent=bowl, feature_x=-bowl)
    return Benchmark(table, folds={name: i % 2 for i, name in enumerate(table.images)})


def test_a_problem_is_one_of_optunahubs():
    problem = ResponseTableProblem(1, table=benchmark_of())
    assert isinstance(problem, optunahub.benchmarks.BaseProblem)
    assert problem.directions == [optuna.study.StudyDirection.MINIMIZE]
    u = problem.benchmark.table.u.astype(float)
    space = problem.search_space
    assert list(space) == ["u0", "u1"]
    assert (space["u1"].low, space["u1"].high) == (u[:, 1].min(), u[:, 1].max())


@pytest.mark.parametrize("space", ["nearest", "index"])
def test_trials_say_which_setting_answered_and_all_that_needs_no_label(space):
    benchmark = benchmark_of()
    problem = ResponseTableProblem(2, table=benchmark, space=space)
    study = optuna.create_study(sampler=SAMPLERS["random"](0), directions=problem.directions)
    study.optimize(problem, n_trials=5)
    for trial in study.trials:
        setting = trial.user_attrs["setting"]
        assert trial.value == benchmark.table.column("term.dissent")[2, setting] == problem.evaluate(trial.params)
        assert trial.user_attrs["label_free"] == problem.known(setting)
        assert set(trial.user_attrs["label_free"]) == {"term.dissent", "feature.x"}
        assert problem.score(trial.params) == problem.score(setting) == benchmark.scores[2, setting]
        assert problem.regret(trial.params) == benchmark.regret(2, setting) >= 0


@pytest.mark.parametrize("name", ["random", "tpe", "cmaes"])
def test_nothing_of_the_labels_reaches_a_search(name):
    plain = benchmark_of()
    other = benchmark_of(scores=-7 * plain.scores[:, ::-1] + 3)
    found = [choices_of(one, SAMPLERS[name], (4, 16), n_seeds=2) for one in (plain, other)]
    for budget in (4, 16):
        np.testing.assert_array_equal(found[0][budget], found[1][budget])
    assert found[0][16].shape == (2, 4)


def test_the_choice_after_a_budget_is_the_best_of_its_first_trials():
    benchmark = benchmark_of()
    found = choices_of(benchmark, SAMPLERS["random"], (1, 8, 200))
    losses = benchmark.table.column("term.dissent")[np.arange(4)[:, None], np.array([found[k][0] for k in found]).T]
    assert (np.diff(losses) <= 0).all()
    np.testing.assert_array_equal(found[200][0], exhaustive(benchmark, ["term.dissent"])["term.dissent"])


def test_a_loss_that_is_no_number_is_never_chosen(capsys):
    benchmark = benchmark_of()
    losses = benchmark.table.column("term.dissent").copy()
    losses[:, ::2] = np.nan
    benchmark = replace(benchmark, table=benchmark.table.with_columns({"term.dissent": losses}))
    assert (choices_of(benchmark, SAMPLERS["tpe"], (24,))[24] % 2 == 1).all()
    assert (exhaustive(benchmark, ["term.dissent"])["term.dissent"] % 2 == 1).all()
    assert capsys.readouterr().err == ""


def test_what_is_asked_wrongly_is_named():
    with pytest.raises(IndexError, match=r"instance in \[0, 4\), got 4"):
        ResponseTableProblem(4, table=benchmark_of())
    with pytest.raises(ValueError, match="nearest, index, got 'cube'"):
        ResponseTableProblem(table=benchmark_of(), space="cube")


def test_it_is_loaded_as_optunahub_loads_what_it_has_downloaded():
    module = optunahub.load_local_module("benchmarks/ciliary_response_table", registry_root=str(REGISTRY))
    try:
        problem = module.Problem(0)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), directions=problem.directions)
        study.optimize(problem, n_trials=2)
        assert 0 <= problem.score(study.best_params) <= 1
        assert len(module.Benchmark.load()) == len(problem.benchmark)
    finally:
        del sys.modules[module.__name__]


def test_without_optunahub_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optunahub.benchmarks", None)
    monkeypatch.delitem(sys.modules, "ciliary.tuning.tabular.problem", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'ciliary\[optuna\]'"):
        import ciliary.tuning.tabular.problem  # noqa: F401
