"""Memory: settings of similar images are tried first; on the toy world the best setting is known, so are regrets."""

import numpy as np
import pytest

from ciliary.agents import Ending, make_controller, run_episode
from ciliary.agents.controllers.memory import Memories, MemoryController, load_memories, most_similar
from ciliary.testing.controller import ControllerContract, CountingToy
from ciliary.tuning.sessions.experience import save_memories

P = 4


def memories_of(u, statistics=None, *, gain=None, mark="raw", names=None):
    """Memories in which, if nothing else is said, the statistics are the settings."""
    u = np.atleast_2d(np.asarray(u, dtype=float))
    m = len(u)
    return Memories(
        statistics=u if statistics is None else np.asarray(statistics, dtype=float),
        u=u,
        gain=np.ones(m) if gain is None else np.asarray(gain, dtype=float),
        mark=(mark,) * m if isinstance(mark, str) else tuple(mark),
        names=tuple(names or (f"image {i}" for i in range(m))),
    )


def optima(n, seed=0):
    """Settings at which the toy world could be best."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 0.8, (n, P)) * rng.choice([-1, 1], (n, P))


class ListToy(CountingToy):
    """The toy world with a list of recommended settings, the third of which is its optimum."""

    @property
    def starts(self):
        return np.array([[0.9] * P, [-0.9] * P, np.ravel(self.optimum), [0.5] * P], np.float32)


class ShowingToy(CountingToy):
    """The toy world that shows its optimum in the statistics."""

    def __init__(self, **settings):
        super().__init__(is_context_visible=True, **settings)


class TestMemory(ControllerContract):
    is_seedless = True

    @pytest.fixture
    def controller(self):
        return make_controller("memory", memories=memories_of(optima(64)), k=None)


class TestMemoryWithoutMemories(ControllerContract):
    is_seedless = is_control = True

    @pytest.fixture
    def controller(self):
        return make_controller("memory")


def regret(memories, k, seeds=range(20), env=ShowingToy):
    """Mean total after the episode; 0 is the optimum."""
    controller = MemoryController(memories, k=k)
    return np.mean([run_episode(env(), controller, seed, guard=None).after["total"] for seed in seeds])


def test_the_most_similar_are_tried_first_in_their_order():
    memories = memories_of([[0.5] * P, [-0.5] * P, [0.3] * P])
    trace = run_episode(ShowingToy(), MemoryController(memories, k=2), 0, {"optimum": [0.45] * P})
    np.testing.assert_allclose(trace.u, [[0.0] * P, [0.5] * P, [0.3] * P], atol=1e-6)
    assert trace.i_chosen == 1
    assert trace.ending is Ending.CONVERGED
    np.testing.assert_allclose(trace.statistics, [0.45] * P, atol=1e-6)


def test_the_unit_of_a_statistic_does_not_matter():
    rng = np.random.default_rng(1)
    statistics, here = rng.normal(size=(20, 3)), rng.normal(size=3)
    u = rng.uniform(-1, 1, (20, P))
    unit = np.array([1e-3, 1.0, 1e4])
    one = most_similar(memories_of(u, statistics), here)
    other = most_similar(memories_of(u, statistics * unit + 7), here * unit + 7)
    np.testing.assert_array_equal(one, other)
    spread = np.concatenate([statistics, here[None]]).std(0)
    distance = np.linalg.norm((statistics - here) / spread, axis=1)
    np.testing.assert_array_equal(one, np.argsort(distance))


def test_statistics_that_never_vary_or_are_no_numbers_do_not_count():
    u = [[0.1] * P, [0.2] * P, [0.3] * P]
    memories = memories_of(u, [[0.0, 5.0, 1.0], [1.0, 5.0, 2.0], [2.0, 5.0, 9.0]])
    assert most_similar(memories, np.array([1.9, 5.0, np.nan])).tolist() == [2, 1, 0]


def test_only_what_helped_on_the_same_objective_is_tried():
    memories = memories_of(optima(4), gain=[1, 0, -1, 1], mark=["raw", "raw", "raw", "calibrated 0a1b"])
    here = np.zeros(P)
    assert most_similar(memories, here, objective="raw").tolist() == [0]
    assert most_similar(memories, here, objective="calibrated").tolist() == [3]
    assert set(most_similar(memories, here).tolist()) == {0, 3}


def test_of_one_image_the_newest_memory_counts_and_copies_are_tried_once():
    u = [[0.5] * P, [0.4] * P, [0.4] * P, [0.0] * P]
    memories = memories_of(u, np.ones((4, P)), names=["a", "a", "b", "c"])
    trace = run_episode(ShowingToy(), MemoryController(memories), 0)
    np.testing.assert_allclose(trace.u, [[0.0] * P, [0.4] * P], atol=1e-6)  # c remembers the defaults themselves


def test_k_bounds_the_trials_and_none_leaves_it_to_the_budget():
    memories = memories_of(optima(30))
    for k, n_trials, expected in [(5, 64, 6), (1, 64, 2), (5, 3, 3), (None, 64, 31), (None, 12, 12)]:
        trace = run_episode(ShowingToy(), MemoryController(memories, k=k), 0, n_trials=n_trials)
        assert trace.n_trials == expected


def test_neighbours_beat_settings_at_random():
    settings = optima(200)
    similar = memories_of(settings)
    shuffled = memories_of(settings, np.random.default_rng(2).permutation(settings))
    random = np.mean(
        [
            run_episode(ShowingToy(), make_controller("random"), s, n_trials=6, guard=None).after["total"]
            for s in range(20)
        ]
    )
    assert regret(similar, 5) < 0.5 * min(regret(shuffled, 5), random)


def test_regret_falls_as_memories_accumulate():
    """Nearest of n points in 4 dimensions: distance ~ n^(-1/4), so its square halves when n grows fourfold."""
    settings = optima(1024, seed=3)
    regrets = [regret(memories_of(settings[:n]), 5) for n in (4, 16, 64, 256, 1024)]
    assert (np.diff(regrets) < 0).all()
    assert regrets[-1] < 0.25 * regrets[0]


@pytest.mark.parametrize("empty", [None, memories_of(np.zeros((0, P))), memories_of(optima(3), gain=[0, 0, 0])])
def test_without_a_memory_that_helps_the_objectives_list_is_tried(empty):
    class ListToy(ShowingToy):
        starts = np.array([[0.9] * P, [-0.9] * P], np.float32)

    assert run_episode(ShowingToy(), MemoryController(empty), 0).n_trials == 1
    trace = run_episode(ListToy(), MemoryController(empty), 0)
    np.testing.assert_allclose(trace.u[1:], ListToy.starts)


@pytest.mark.parametrize("foreign", [memories_of(np.full((2, 7), 0.5)), memories_of(optima(2), np.ones((2, 9)))])
def test_memories_of_another_world_are_left_aside_aloud(foreign):
    with pytest.warns(UserWarning, match="of another world or version"):
        trace = run_episode(ShowingToy(), MemoryController(foreign), 0)
    assert trace.n_trials == 1


def test_a_file_of_memories_is_as_good_as_themselves(tmp_path):
    memories = memories_of(optima(9).astype(np.float32), mark="calibrated 0a1b")
    path = save_memories(tmp_path / "m.npz", memories)
    again = load_memories(path)
    for name in ("statistics", "u", "gain", "mark", "names"):
        np.testing.assert_array_equal(getattr(again, name), getattr(memories, name))
    traces = [run_episode(ShowingToy(), MemoryController(m), 0).u for m in (memories, path)]
    np.testing.assert_array_equal(*traces)


def test_wrong_memories_are_answered(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match="not a file of memories"):
        load_memories(tmp_path / "broken.npz")
    with pytest.raises(FileNotFoundError):
        load_memories(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"u in \[-1, 1\]"):
        memories_of([[2.0] * P])
    with pytest.raises(ValueError, match="finite"):
        memories_of(optima(1), [[np.nan] * P])
    with pytest.raises(ValueError, match="expected statistics"):
        memories_of(optima(2), np.ones((3, P)))
    with pytest.raises(ValueError, match="k >= 1"):
        make_controller("memory", k=0)


def test_without_memories_it_tries_the_objectives_list_in_its_order_and_takes_the_best():
    trace = run_episode(env := ListToy(), make_controller("memory", population=2), 0, guard=None)
    np.testing.assert_allclose(trace.u[1:], env.starts, atol=1e-6)
    assert trace.i_chosen == 3
    assert trace.ending is Ending.CONVERGED
    few = run_episode(env := ListToy(), make_controller("memory"), 0, n_trials=3)
    np.testing.assert_allclose(few.u[1:], env.starts[:2], atol=1e-6)


@pytest.mark.parametrize("name", ["tpe", "gp", "nsga2"])
def test_searches_begin_with_the_objectives_list(name):
    trace = run_episode(env := ListToy(), make_controller(name), 0, n_trials=8)
    np.testing.assert_allclose(trace.u[1:5], env.starts, atol=1e-5)
    assert trace.after["total"] <= trace.terms["total"][3] + 1e-9


def test_the_environments_own_least_gain_holds():
    gain = run_episode(ListToy(), make_controller("memory"), 0).guard.gain
    trace = run_episode(ListToy(min_gain=gain * 1.5), make_controller("memory"), 0)
    assert trace.i_chosen == 0
    assert not trace.guard.is_accepted
    assert "least gain" in trace.guard.reason
