"""The study: readable, resumable, never poisoned."""

import logging
import warnings

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from ciliary.agents import make_controller, run_episode
from ciliary.agents.controllers.search import SAMPLERS, SearchController, distributions_of
from ciliary.cortex.parameters import PARAMETERS
from ciliary.testing.controller import CountingToy


def run(sampler="tpe", *, env=None, n_trials=20, seed=0, **settings):
    """A trace and its study."""
    states = []
    controller = make_controller(sampler, **settings)
    trace = run_episode(env or CountingToy(), controller, seed, n_trials=n_trials, on_batch=states.append)
    return trace, states[-1].state.study if states else None


def test_study_holds_physical_values_and_terms():
    trace, study = run(env=CountingToy(n_parameters=len(PARAMETERS)))
    first = study.trials[0]
    for p in PARAMETERS:
        assert first.params[p.name] == pytest.approx(p.default, rel=1e-5, abs=1e-5)
    np.testing.assert_array_equal([t.value for t in study.trials], trace.total)
    for name in ("stability", "consistency", "collapse", "economy"):
        np.testing.assert_array_equal([t.user_attrs[name] for t in study.trials], trace.terms[name])
    for name, values in trace.theta.items():
        np.testing.assert_allclose([t.params[name] for t in study.trials], values, rtol=1e-5, atol=1e-5)


def test_best_of_the_study_replays_to_its_value():
    env = CountingToy()
    _, study = run(env=env)
    u = np.array([list(study.best_params.values())], np.float32)
    assert env.evaluate(u).terms["total"][0] == study.best_value


def test_broken_losses_are_failed_trials_and_none_is_left_running():
    _, study = run(env=CountingToy(spoilt=[3, 4, 17]))
    states = [t.state for t in study.trials]
    assert [i for i, s in enumerate(states) if s is TrialState.FAIL] == [3, 4, 17]
    assert states.count(TrialState.COMPLETE) == 17


def test_last_population_is_cut_and_leaves_nothing_pending():
    _, study = run(n_trials=19, population=8)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 19


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_says_nothing(sampler, caplog):
    optuna.logging.enable_propagation()
    try:
        with warnings.catch_warnings(), caplog.at_level(logging.INFO):
            warnings.simplefilter("error")
            run(sampler, spread=0.3)
    finally:
        optuna.logging.disable_propagation()
    assert not caplog.records
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


def test_population_is_one_call():
    calls = []

    class Watched(CountingToy):
        def evaluate(self, u, views_seed=None):
            calls.append(len(u))
            return super().evaluate(u, views_seed)

    run(env=Watched(), n_trials=40, population=16)
    assert calls[:3] == [16, 16, 8]


def test_population_under_way_keeps_its_members_apart():
    """Without the constant liar, settings asked before any is told would fall on one another."""
    trace, _ = run(n_trials=64, population=16)
    last = trace.u[48:]
    gaps = np.linalg.norm(last[:, None] - last[None], axis=-1) + 9 * np.eye(16)
    assert gaps.min() > 1e-3


def test_study_reads_like_the_table():
    distributions = distributions_of(PARAMETERS)
    for p in PARAMETERS:
        d = distributions[p.name]
        assert (d.low, d.high, d.log) == (p.low, p.high, p.scale == "log")


def halton(start):
    return optuna.samplers.QMCSampler(
        seed=start.seed, qmc_type="halton", scramble=True, warn_independent_sampling=False
    )


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampler", [halton, optuna.samplers.RandomSampler])
def test_a_sampler_of_ones_own(sampler):
    controller = make_controller("search", sampler=sampler)
    assert controller.name == f"search-{sampler.__name__}"
    one, same, other = (run_episode(CountingToy(), controller, seed, n_trials=20).u for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_wrong_samplers_are_answered():
    with pytest.raises(ValueError, match="choose from tpe, cmaes, gp, nsga2, or give your own as module:object"):
        SearchController("annealing")
    with pytest.raises(ValueError, match="sampler 'nowhere_at_all:x': found no module"):
        SearchController("nowhere_at_all:x")
    with pytest.raises(ValueError, match=r"lambda start: RandomSampler\(seed=start.seed\)"):
        SearchController(optuna.samplers.RandomSampler(seed=0))


@pytest.mark.parametrize("spread", [None, 0.3])
def test_cmaes_proposes_what_optunas_own_does(spread, monkeypatch):
    """Until Optuna takes its arguments away, or changes its numbers: then this test says so."""

    def theirs(start):
        sigma = None if start.spread is None else start.spread / 2
        return optuna.samplers.CmaEsSampler(
            seed=start.seed, popsize=16, x0=start.centre, sigma0=sigma, warn_independent_sampling=False
        )

    worlds = {"n_parameters": len(PARAMETERS)}, {"spoilt": [0, 5, 30]}
    ours = [run("cmaes", env=CountingToy(**world), n_trials=60, spread=spread)[0].u for world in worlds]
    monkeypatch.setitem(SAMPLERS, "cmaes", theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = [run("cmaes", env=CountingToy(**world), n_trials=60, spread=spread)[0].u for world in worlds]
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one, other)
