"""The queue of a session against queues whose numbers are known in closed form."""

import numpy as np
import pytest

from ciliary.tuning.benchmarks.pipeline import Stage, simulate


def one(service_s, **more):
    return simulate([Stage("s", "c", service_s)], {"c": more.pop("n", 1)}, **more)


@pytest.mark.parametrize("every_s", [2.0, 4.0])
def test_regular_arrivals_never_wait_and_use_service_over_interval(every_s):
    """D/D/1."""
    flow = one([1.0], n_images=1000, arrived_s=every_s * np.arange(1000))
    assert flow.sojourn_s == pytest.approx(1.0)
    assert flow.utilisation["c"] == pytest.approx(1 / every_s, rel=2e-3)
    assert flow.per_s == pytest.approx(1 / every_s)


def test_a_server_that_has_always_work_gives_one_over_service():
    flow = one([0.25], n_images=400)
    assert flow.per_s == pytest.approx(4.0)
    assert flow.utilisation["c"] == pytest.approx(1.0)


@pytest.mark.parametrize(("rate", "n_cores", "n"), [(0.5, np.inf, 1), (0.7, np.inf, 1), (0.6, 1, 10_000)])
def test_random_arrivals_and_services_stay_as_long_as_theory_says(rate, n_cores, n):
    """M/M/1, first come first served, and by shares of one core: both 1 / (mu - lambda) (Kleinrock 1976)."""
    rng = np.random.default_rng(0)
    arrived = np.cumsum(rng.exponential(1 / rate, 15_000))
    flow = one(rng.exponential(1.0, 15_000), n=n, n_images=15_000, arrived_s=arrived, n_cores=n_cores)
    assert flow.sojourn_s == pytest.approx(1 / (1 - rate), rel=0.12)
    assert flow.n_inside == pytest.approx(rate / (1 - rate), rel=0.12)
    if n == 1:
        assert flow.utilisation["c"] == pytest.approx(rate, rel=0.03)


def test_as_many_are_inside_as_come_in_the_time_that_one_stays():
    """Little's law, along any path: L = lambda W."""
    rng = np.random.default_rng(1)
    stages = [Stage("a", "x", rng.exponential(1.0, 50)), Stage("b", "y", rng.exponential(0.4, 50))]
    flow = simulate(stages, {"x": 2, "y": 1}, 500, n_cores=2, arrived_s=np.cumsum(rng.exponential(0.8, 500)))
    assert flow.n_inside == pytest.approx(500 / flow.span_s * flow.sojourn_s)
    assert (flow.finished_s > flow.arrived_s).all()


@pytest.mark.parametrize(
    ("servers", "n_cores", "most_open", "expected"),
    [
        (1, np.inf, None, 1.0),  # the worker
        (2, np.inf, None, 2.0),
        (9, np.inf, None, 4.0),  # the recorder, .25 s
        (9, 2, 3, 2 / 1.25),  # the cores
        (1, 1, None, 1 / 1.25),
    ],
)
def test_the_narrowest_place_says_how_fast(servers, n_cores, most_open, expected):
    stages = [Stage("play", "workers", [1.0]), Stage("record", "main", [0.25])]
    crews = {"workers": servers, "main": 1}
    flow = simulate(stages, crews, 800, n_cores=n_cores, most_open=most_open)
    assert flow.per_s == pytest.approx(expected, rel=0.03)


def test_one_crew_for_all_stages_takes_their_sum():
    stages = [Stage(name, "main", [seconds]) for name, seconds in (("read", 0.1), ("play", 1.0), ("record", 0.4))]
    assert simulate(stages, {"main": 1}, 50).per_s == pytest.approx(1 / 1.5, rel=0.05)


def test_no_more_are_open_than_may_be():
    stages = [Stage("read", "reader", [0.0]), Stage("play", "workers", [1.0])]
    free = simulate(stages, {"reader": 1, "workers": 4}, 100)
    held = simulate(stages, {"reader": 1, "workers": 4}, 100, most_open=2)
    assert free.per_s == pytest.approx(4.0, rel=0.05)
    assert held.per_s == pytest.approx(2.0, rel=0.05)


def test_the_same_seed_is_the_same_flow():
    flows = [one([0.1, 1.0, 3.0], n_images=30, seed=seed).finished_s for seed in (0, 0, 1)]
    np.testing.assert_array_equal(flows[0], flows[1])
    assert not np.array_equal(flows[0], flows[2])


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="service times >= 0"):
        Stage("s", "c", [])
    with pytest.raises(ValueError, match="none of d"):
        simulate([Stage("s", "d", [1.0])], {"c": 1}, 3)
    with pytest.raises(ValueError, match="n_images >= 1"):
        one([1.0], n_images=0)
