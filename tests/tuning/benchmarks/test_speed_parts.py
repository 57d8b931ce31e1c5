"""The benchmark's other parts: what they count, on environments and stages whose numbers are known."""

from __future__ import annotations

import types

import gymnasium as gym
import pytest

from ciliary.tuning.benchmarks import speed_peers
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed_folder import STAGES, WORKERS, measure_folder, simulated
from ciliary.tuning.benchmarks.speed_peers import Peer, measure_peers
from ciliary.tuning.benchmarks.speed_steps import time_steps
from ciliary.tuning.benchmarks.timing import Watch

SMALL = BenchmarkSettings(sizes_px=(24,), n_repeats=2, n_threads=1, n_envs=2, episode_sizes_px=(48,), n_images=3)


class Short:
    """Episodes of three steps."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.n_steps, self.n_resets = 0, 0

    def reset(self, seed=None):
        self.n_resets += 1
        return 0, {}

    def step(self, action):
        self.n_steps += 1
        return 0, 0.0, self.n_steps % 3 == 0, False, {}

    def close(self):
        pass


def test_so_many_steps_are_taken_and_ended_episodes_begin_again():
    env = Short()
    timing = time_steps(env, n_repeats=2, n_steps=5)
    assert (env.n_steps, env.n_resets, timing.n) == (3 * 5, 1 + 5, 2)


def test_a_vector_begins_again_itself_and_its_step_is_shared():
    env = Short()
    timing = time_steps(env, n_repeats=4, n_steps=6, n_envs=8)
    assert (env.n_steps, env.n_resets, timing.n) == (5 * 6, 1, 4)


def test_peers_that_are_not_here_or_break_are_named(monkeypatch):
    def broken(module):
        raise RuntimeError("no data set")

    here = types.ModuleType("somebody_else")
    monkeypatch.setitem(__import__("sys").modules, "somebody_else", here)
    peers = (
        Peer("absent", "no_such_module_at_all", {}),
        Peer("present", "somebody_else", {"Short": (lambda module: Short(), None), "Broken": (broken, None)}),
    )
    monkeypatch.setattr(speed_peers, "PEERS", peers)
    monkeypatch.setattr(speed_peers, "SEGMENTERS", {"felzenszwalb": speed_peers.SEGMENTERS["felzenszwalb"]})
    missing = {}
    lines = list(measure_peers(SMALL, missing))
    assert [line.name for line in lines] == ["scikit-image felzenszwalb", "present Short"]
    assert "no_such_module_at_all" in missing["absent"]
    assert missing["present Broken"] == "RuntimeError: no data set"
    assert {"sam2", "segment_anything"} <= set(missing)


def services(**seconds):
    watches = {}
    for name in STAGES:
        watches[name] = Watch()
        watches[name].wall_ms, watches[name].processor_ms = [1000 * seconds[name]], [500 * seconds[name]]
    return watches


TIMES = {"read": 0.1, "begin": 0.1, "play": 2.0, "keep": 0.0, "track": 0.3}


@pytest.mark.parametrize(
    ("n_workers", "n_cores", "expected"),
    [
        (1, 9, 1 / 2.4),  # the main process does all but the reading
        (2, 9, 1.0),  # the workers
        (1, 1, 1 / 2.5),  # one core for all
        (2, 2, 2 / 2.5),  # the cores
        (16, 99, 1 / 0.4),  # the main process begins and tracks
    ],
)
def test_the_queue_of_a_session_has_its_bounds(n_workers, n_cores, expected):
    flow = simulated(services(**TIMES), n_workers=n_workers, n_cores=n_cores)
    assert flow.per_s == pytest.approx(expected, rel=0.06)
    idle = simulated(services(**TIMES), n_workers=n_workers, n_cores=n_cores, is_idle=True)
    assert idle.per_s == pytest.approx(2 * flow.per_s)


@pytest.mark.slow
def test_a_folder_is_timed_whole_and_by_its_stages():
    lines = list(measure_folder(SMALL))
    stages = [line.name for line in lines[: len(STAGES)]]
    assert stages == [*STAGES]
    assert all(line.timing.n == 2 * (SMALL.n_images - 1) for line in lines[: len(STAGES)])
    sessions = [line for line in lines if line.name.startswith("session")]
    assert [line.about["n_workers"] for line in sessions] == [*WORKERS]
    assert all(line.about["per_s"] > 0 and line.about["kb_per_image"] > 0 for line in sessions)
    assert lines[len(STAGES) + len(WORKERS)].name == "going on where all is done"
    assert {line.part for line in lines} == {"folder", "queue"}
