"""The homeostat: where statistics answer to the settings as it believes, it converges as its closed form says."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from ciliary.agents import Ending, make_controller, run_episode
from ciliary.agents.controllers.homeostat import SHIPPED, Loop, ReflexController, fit, load_loops
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs import ToyEnv
from ciliary.envs.observation import STATISTICS
from ciliary.testing.controller import ControllerContract, CountingToy

SHARE = 0.1
#: In the homeostatic toy the statistics are (optimum - u) / 2: they answer to u by -1 / 2.
LOOPS = tuple(Loop(f"s{i}", f"u{i}", set_point=0.0, spread=0.5, gain=SHARE) for i in range(4))
OPTIMUM = [0.7, -0.7, 0.45, -0.3]


def error_seen(self):
    return {"statistics": ((self.optimum - self._u) / 2).astype(np.float32), "u": self.u}


@pytest.fixture
def homeostatic(monkeypatch):
    """The toy world shows how far it is from its optimum."""
    monkeypatch.setattr(CountingToy, "_observe", error_seen)


@pytest.mark.usefixtures("homeostatic")
class TestReflex(ControllerContract):
    is_seedless = True

    @pytest.fixture
    def controller(self):
        return make_controller("reflex", loops=LOOPS, n_steps=50, max_shift=2.0)

    def test_guard_falls_back_when_the_gain_is_noise(self, controller):
        """At its set points a homeostat stays: there is no luck to be fooled by."""
        trace = self.run(controller, 0, CountingToy(noise_std=0.2), options={"optimum": [0.0] * 4})
        np.testing.assert_array_equal(trace.u, 0)
        assert trace.i_chosen == 0


@pytest.mark.usefixtures("homeostatic")
class TestClosedForm:
    def run(self, n_trials=12, options=None, **settings):
        controller = ReflexController(LOOPS, **({"n_steps": 99, "max_shift": 2.0} | settings))
        return run_episode(CountingToy(), controller, 0, options or {"optimum": OPTIMUM}, n_trials)

    @pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 1.4])
    def test_the_error_falls_geometrically(self, share):
        loops = tuple(replace(loop, gain=share) for loop in LOOPS)
        trace = run_episode(
            CountingToy(), ReflexController(loops, n_steps=99, max_step=2.0, max_shift=2.0), 0, {"optimum": OPTIMUM}, 6
        )
        left = (1 - share) ** np.arange(len(trace.u))  # overshoots and returns where the share is above 1
        np.testing.assert_allclose(trace.u, np.outer(1 - left, OPTIMUM).clip(-1, 1), atol=1e-6)

    def test_steps_are_clipped_one_by_one_and_in_all(self):
        loops = tuple(replace(loop, gain=1.0) for loop in LOOPS)
        controller = ReflexController(loops, n_steps=4, max_step=0.25, max_shift=0.5)
        trace = run_episode(CountingToy(), controller, 0, {"optimum": OPTIMUM})
        np.testing.assert_allclose(trace.u[1], [0.25, -0.25, 0.25, -0.25], atol=1e-6)
        np.testing.assert_allclose(trace.u[2:], np.array([[0.5, -0.5, 0.45, -0.3]] * 3), atol=1e-6)
        assert trace.ending is Ending.CONVERGED

    def test_a_few_steps_then_done(self):
        trace = self.run(n_trials=64, n_steps=4)
        assert trace.n_trials == 5
        assert trace.i_chosen == 4

    def test_small_errors_are_left_alone_in_the_dead_zone(self):
        trace = self.run(dead_zone=0.5)
        far = np.abs(OPTIMUM) > 0.5
        assert (trace.u[:, ~far] == 0).all()
        left = (1 - SHARE) ** np.arange(12)  # of the way to the edge of the zone
        np.testing.assert_allclose(trace.u[:, 0], (1 - left) * 0.2, atol=1e-6)

    def test_a_statistic_that_is_not_a_number_rests_its_own_loop_only(self, monkeypatch):
        def broken(self):
            seen = error_seen(self)
            seen["statistics"][:2] = [np.nan, np.inf]
            return seen

        sound = self.run().u
        monkeypatch.setattr(CountingToy, "_observe", broken)
        trace = self.run()
        assert (trace.u[:, :2] == 0).all()
        np.testing.assert_array_equal(trace.u[:, 2:], sound[:, 2:])

    def test_loops_of_other_worlds_rest(self):
        foreign = (Loop("energy_mean", "blur_sigma_px", 0.1, 0.1, 1.0), Loop("s9", "u0", 0.1, 0.1, 1.0))
        both = run_episode(CountingToy(), ReflexController((*LOOPS, *foreign)), 0, {"optimum": OPTIMUM}, 5).u
        np.testing.assert_array_equal(both, self.run(5, max_shift=0.5).u)
        only = run_episode(CountingToy(), ReflexController(foreign), 0, {"optimum": OPTIMUM})
        assert only.n_trials == 1


def test_an_environment_that_moves_less_than_asked_is_followed():
    """In small steps of the world the law goes on from where the world stands, not from where it wanted to be."""

    class Slow(ToyEnv):
        _observe = error_seen

    loops = tuple(replace(loop, gain=1.0) for loop in LOOPS)
    env = Slow(n_parameters=4, max_step=0.1)
    trace = run_episode(env, ReflexController(loops, n_steps=9, max_shift=2.0), 0, {"optimum": OPTIMUM})
    np.testing.assert_allclose(trace.u[:5, 0], [0, 0.1, 0.2, 0.3, 0.4], atol=1e-6)
    np.testing.assert_allclose(trace.u[-1], OPTIMUM, atol=1e-6)


def test_statistics_are_found_by_name():
    loop = Loop("contour_mean", "u1", set_point=0.0, spread=0.5, gain=SHARE)
    told = {
        "parameter_names": ("u0", "u1"),
        "default_u": np.zeros(2),
        "observed": {"statistics": ("other", "contour_mean")},
    }
    controller = ReflexController((loop,), n_steps=1, max_shift=2.0)
    obs = {"statistics": np.array([np.nan, 0.25], np.float32)}
    state = controller.learn(controller.init(obs, told, 0), np.zeros((1, 2)), obs, told)
    np.testing.assert_allclose(state.u, [0, SHARE * 0.5], atol=1e-6)


def test_shipped_table_is_of_this_cortex():
    loops = load_loops()
    assert len(fit(loops, STATISTICS, PARAMETERS.names)) == len(loops) >= 4
    assert len({loop.parameter for loop in loops}) == len(loops)
    table = json.loads(SHIPPED.read_text())
    assert table["spectral_radius"] < 1
    assert {"data", "n_images", "size_px", "date", "settings", "versions"} <= set(table["provenance"])
    for row in table["loops"]:
        assert row["gain"] * row["response"] == pytest.approx(-table["provenance"]["settings"]["share"])


def test_a_table_can_be_given_as_a_file(tmp_path):
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"loops": [asdict(loop) for loop in LOOPS]}))
    env = ToyEnv(n_parameters=4, is_context_visible=True)
    given, read = (run_episode(env, ReflexController(**more), 0).u for more in ({"loops": LOOPS}, {"policy": file}))
    assert len(read) == 5
    np.testing.assert_array_equal(given, read)
    with pytest.raises(ValueError, match="give one"):
        ReflexController(LOOPS, policy=file)


def test_wrong_tables_and_settings_are_answered(tmp_path):
    file = tmp_path / "table.json"
    file.write_text('{"loops": [{"statistic": "energy_mean"}]}')
    with pytest.raises(ValueError, match="not a table of reflex loops"):
        load_loops(file)
    with pytest.raises(ValueError, match="spread > 0"):
        Loop("s0", "u0", 0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        Loop("s0", "u0", np.nan, 1.0, 1.0)
    with pytest.raises(ValueError, match="n_steps >= 1"):
        make_controller("reflex", n_steps=0)
