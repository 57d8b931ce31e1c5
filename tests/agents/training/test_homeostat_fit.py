"""The reflex's table: set points as the environment shows them, and loops that correct what they promise."""

import json

import numpy as np
import pytest
import torch

from ciliary.agents.controllers.homeostat import Loop, ReflexController, load_loops
from ciliary.agents.training.homeostat_fit import ReflexSettings, measure_reflexes, spectral_radius
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs import AccommodationEnv
from ciliary.envs.data.sources import Photograph
from ciliary.envs.observation import STATISTICS
from ciliary.tuning.training.homeostat_job import train_reflex

PAIRS = (
    ("energy_mean", "adaptation_exponent"),
    ("masks_confidence", "merge_temperature"),
    ("energy_std", "adaptation_exponent"),
    ("masks_confidence", "merge_threshold"),
    ("light_mean", "n_slots"),
)


def photograph(i):
    """A few soft blobs in noise, the stronger the larger i."""
    rng = np.random.default_rng(i)
    y, x = np.mgrid[:36, :48] / 48
    page = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 0.02) for a, b in rng.uniform(0, 1, (4, 2)))
    image = np.clip(0.2 + (0.2 + 0.05 * i) * page + 0.02 * rng.normal(size=(3, 36, 48)), 0, 1)
    return Photograph(f"{i}", torch.from_numpy(image.astype(np.float32)), (36, 48), None)


@pytest.fixture(scope="module")
def photographs():
    return [photograph(i) for i in range(5)]


@pytest.fixture(scope="module")
def table(photographs):
    return measure_reflexes(photographs, candidates=PAIRS)


def test_set_points_are_the_medians_of_what_the_environment_shows(photographs, table):
    env = AccommodationEnv(source=photographs, disturbances=(None,), size_px=None, objective="raw", n_views=1)
    seen = np.stack([env.reset(seed=0, options={"image": i})[0]["statistics"] for i in range(5)])
    for loop in table["loops"]:
        values = seen[:, STATISTICS.index(loop["statistic"])]
        assert loop["set_point"] == pytest.approx(np.median(values), abs=1e-5)
        assert loop["spread"] == pytest.approx(1.4826 * np.median(np.abs(values - np.median(values))), rel=0.02)


def test_loops_that_do_not_respond_or_compete_are_dropped_with_their_reason(table):
    assert [(loop["statistic"], loop["parameter"]) for loop in table["loops"]] == list(PAIRS[:2])
    why = [row["why"] for row in table["dropped"]]
    assert why[:2] == ["its parameter has a loop", "its statistic has a loop"]
    assert "spreads per unit" in why[2]


def test_the_gain_is_minus_the_share_over_the_response(table):
    for loop in table["loops"]:
        assert loop["gain"] * loop["response"] == pytest.approx(-0.5)


def test_one_step_corrects_about_half_of_an_error(photographs, table):
    """Move a parameter away from the default; the loop's step brings the statistic about half of the way back."""
    loop = next(row for row in table["loops"] if row["parameter"] == "merge_temperature")
    i_statistic, i_parameter = STATISTICS.index(loop["statistic"]), PARAMETERS.names.index(loop["parameter"])
    env = AccommodationEnv(
        source=photographs,
        disturbances=(None,),
        size_px=None,
        objective="raw",
        n_views=1,
        action_mode="absolute",
        patience=0,
    )
    shares = []
    for i in range(len(photographs)):
        home = env.reset(seed=0, options={"image": i})[0]["statistics"][i_statistic]
        u = env.default_u.copy()
        u[i_parameter] += 0.3
        there = env.step(u)[0]["statistics"][i_statistic]
        u[i_parameter] += loop["gain"] * (there - home) / loop["spread"]
        shares.append((env.step(u)[0]["statistics"][i_statistic] - home) / (there - home))
    assert np.median(shares) == pytest.approx(0.5, abs=0.2)


def test_spectral_radius_in_closed_form():
    response = np.array([[2.0, 1.0], [0.0, -4.0]])  # of 2 statistics to 2 parameters, one of them moves both
    loops = [(0, 0), (1, 1)]
    assert spectral_radius(response, loops, share=0.5) == pytest.approx(0.5)
    assert spectral_radius(response, loops, share=1.5) == pytest.approx(0.5)
    coupled = np.array([[1.0, 1.0], [1.0, 1.0]])  # eigenvalues 0 and 2: nothing corrects the difference
    assert spectral_radius(coupled, loops, share=0.25) == pytest.approx(1.0)


def test_unstable_company_is_refused(photographs):
    strict = ReflexSettings(max_radius=0.5 - 1e-9)  # a loop alone leaves one half
    with pytest.raises(ValueError, match=r"spectral radius 0\.50"):
        measure_reflexes(photographs, candidates=PAIRS[1:2], settings=strict)


def test_one_call_writes_a_table_the_controller_reads(tmp_path, photographs, monkeypatch):
    from PIL import Image

    for one in photographs[:3]:
        pixels = (one.image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{one.name}.png")
    monkeypatch.setattr(measure_reflexes, "__kwdefaults__", {**measure_reflexes.__kwdefaults__, "candidates": PAIRS})
    table = train_reflex(tmp_path, out=tmp_path / "out" / "reflex.json", size_px=48, n_images=2)
    assert json.loads((tmp_path / "out" / "reflex.json").read_text()) == table
    assert (table["provenance"]["n_images"], table["provenance"]["size_px"]) == (2, 48)
    loops = load_loops(tmp_path / "out" / "reflex.json")
    assert all(isinstance(loop, Loop) for loop in loops)
    assert ReflexController(loops).name == "reflex"


def test_one_photograph_tells_no_spread(photographs):
    with pytest.raises(ValueError, match="at least two photographs"):
        measure_reflexes(photographs[:1])
