"""The animation of an episode: which moments are shown, what is drawn of them, and the file."""

from __future__ import annotations

import itertools
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from PIL import Image

from ciliary.agents.controllers.simple import RandomController
from ciliary.agents.episode import run_episode
from ciliary.agents.trace import Ending, Trace, running_best
from ciliary.cortex import PARAMETERS
from ciliary.tuning.runs.store import SESSIONS, tracking_uri
from ciliary.tuning.sessions.animation import (
    MAX_FRAMES,
    Shot,
    animate_episode,
    plan_looks,
    plan_shots,
    write_gif,
)
from ciliary.tuning.sessions.session import run_session
from ciliary_tests.worlds import Picture, PictureToy, Recorder, inputs_of

nan, inf = float("nan"), float("inf")


class Walk(RandomController):
    """Random settings, one step at a time."""

    use_steps = True


@pytest.fixture
def env():
    env = PictureToy()
    env.reset(seed=0, options={"image": Picture("a")})
    return env


def trace_of(total, *, i_chosen=None, n_parameters=None, **terms):
    """A trace of made-up totals at settings drawn at random."""
    total = np.asarray(total, float)
    u = np.random.default_rng(0).uniform(-1, 1, (len(total), n_parameters or PictureToy().n_parameters))
    i_chosen = int(np.nanargmin(total)) if i_chosen is None else i_chosen
    terms = {"total": total, **{name: np.asarray(values, float) for name, values in terms.items()}}
    first, last = ({name: float(values[i]) for name, values in terms.items()} for i in (0, i_chosen))
    return Trace(
        controller="by hand",
        seed=0,
        u=u.astype(np.float32),
        terms=terms,
        best_so_far=running_best(total),
        i_chosen=i_chosen,
        u_chosen=u[i_chosen],
        before=first,
        after=last,
        guard=None,
        ending=Ending.BUDGET_SPENT,
        n_evaluations=len(total),
        seconds=0.0,
        parameters=PARAMETERS,
    )


def frames_of(path):
    with Image.open(path) as image:
        pages, durations = [], []
        for i in range(image.n_frames):
            image.seek(i)
            pages.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        return np.stack(pages), durations, image.info.get("loop")


# --- which moments


@pytest.mark.parametrize(
    ("total", "i_chosen", "shots"),
    [
        ([3, 4, 2, 5, 1], 4, [(0, 0), (2, 2), (4, 4)]),  # the last trial is the best one
        ([3, 4, 2, 5], 2, [(0, 0), (2, 2), (3, 2)]),  # the rest of the search, then what is applied
        ([3, 4, 2, 5], 0, [(0, 0), (2, 2), (3, 0)]),  # the guard keeps the defaults
        ([3, 4, 5], 0, [(0, 0), (2, 0)]),
        ([3], 0, [(0, 0)]),
        ([nan, 4, inf, 3, 3], 3, [(0, 0), (1, 1), (3, 3), (4, 3)]),
        ([nan, nan], 0, [(0, 0), (1, 0)]),
    ],
)
def test_moments_by_hand(total, i_chosen, shots):
    assert plan_shots(np.array(total, float), i_chosen=i_chosen) == [Shot(*shot) for shot in shots]


def test_a_walk_shows_each_step():
    shots = plan_shots(np.array([3.0, 4, 2, 5]), i_chosen=2, by_steps=True)
    assert shots == [Shot(0, 0), Shot(1, 1), Shot(2, 2), Shot(3, 3), Shot(3, 2)]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=90), st.booleans(), st.integers(2, 25), st.data())
def test_few_moments_in_order_from_the_defaults_to_what_is_applied(total, by_steps, n_most, data):
    i_chosen = data.draw(st.integers(0, len(total) - 1))
    shots = plan_shots(np.array(total), i_chosen=i_chosen, by_steps=by_steps, n_most=n_most)
    assert 1 <= len(shots) <= n_most
    assert len(set(shots)) == len(shots)
    assert [s.i_trial for s in shots] == sorted(s.i_trial for s in shots)
    assert shots[0] == Shot(0, 0)
    assert shots[-1] == Shot(len(total) - 1, i_chosen)


def test_one_frame_is_no_animation():
    with pytest.raises(ValueError, match="n_most"):
        plan_shots(np.ones(3), i_chosen=0, n_most=1)


# --- the file


def test_gif_holds_the_frames(tmp_path):
    frames = [np.full((20, 30, 3), 255, np.uint8) for _ in range(3)]
    for i, frame in enumerate(frames):
        frame[:, 10 * i : 10 * i + 10] = (200, 30, 30)
    pages, durations, loop = frames_of(write_gif(frames, tmp_path / "sub" / "x.gif", frame_ms=300, last_ms=900))
    np.testing.assert_allclose(pages.astype(int), frames, atol=4)
    assert (pages[0, 0, 29] == 255).all()  # paper stays white
    assert (durations, loop) == ([300, 300, 900], 0)


def test_frames_of_an_episode(env, tmp_path):
    trace = trace_of([0.6, 0.7, 0.4, nan, 0.2, 0.5])
    pages, durations, _ = frames_of(animate_episode(env, trace, tmp_path / "a.gif", title="a"))
    assert len(pages) == 4
    assert durations[-1] > 2 * durations[0]
    _, height, width, _ = pages.shape
    assert width == 640
    assert height <= 600
    assert (tmp_path / "a.gif").stat().st_size < 300_000
    for one, other in itertools.pairwise(pages):
        assert (one != other).any()
    curve = pages[:, -150:-34, 60:].astype(int)  # the curve grows: more and more ink
    ink = (np.abs(curve - 255).max(-1) > 40).sum((1, 2))
    assert (np.diff(ink) > 0).all()
    assert plt.get_fignums() == []


def test_percepts_known_are_not_asked_for_again(env, tmp_path, monkeypatch):
    trace = trace_of([0.6, 0.7, 0.4, 0.2])
    asked = []
    percept = env.percept
    monkeypatch.setattr(env, "percept", lambda u: asked.append(len(u)) or percept(u))
    animate_episode(env, trace, tmp_path / "whole.gif", title="a")
    known = {i: percept(trace.u[i]) for i in (0, 3)}
    animate_episode(env, trace, tmp_path / "known.gif", title="a", known=known)
    assert asked == [3, 1]
    assert (frames_of(tmp_path / "whole.gif")[0] == frames_of(tmp_path / "known.gif")[0]).mean() > 0.999


def test_large_images_are_perceived_in_parts(env, tmp_path, monkeypatch):
    asked = []
    percept = env.percept
    monkeypatch.setattr(env, "percept", lambda u: asked.append(len(u)) or percept(u))
    monkeypatch.setattr("ciliary.tuning.sessions.animation.images_per_pass", lambda height, width: 2)
    animate_episode(env, trace_of([0.6, 0.5, 0.4, 0.3, 0.2]), tmp_path / "a.gif", title="a")
    assert asked == [2, 2, 1]


@pytest.mark.parametrize("shape", [(64, 40), (32, 128)])
def test_tall_and_wide_images(env, tmp_path, shape):
    env.photograph.image = env.image[:, :1, :1].expand(3, *shape).clone()
    env.photograph.image[:, : shape[0] // 2] = 0.8
    pages, _, _ = frames_of(animate_episode(env, trace_of([0.6, 0.5]), tmp_path / "a.gif", title="a"))
    assert pages.shape[2] == 640
    assert pages.shape[1] <= 600


def test_the_predicted_score_is_told_where_there_is_one(env, tmp_path):
    total = np.array([0.6, 0.5])
    by_total = animate_episode(env, trace_of(total), tmp_path / "raw.gif", title="a")
    by_score = animate_episode(env, trace_of(total, predicted_score=1 - total), tmp_path / "score.gif", title="a")
    raw, score = (frames_of(path)[0] for path in (by_total, by_score))
    assert (raw[:, :50] != score[:, :50]).any()  # the subtitle


def test_an_episode_that_has_nothing_to_move(env, tmp_path):
    assert animate_episode(env, trace_of([0.6]), tmp_path / "a.gif", title="a") is None
    assert list(tmp_path.iterdir()) == []
    assert animate_episode(env, trace_of([nan, nan], i_chosen=0), tmp_path / "a.gif", title="a").exists()


def test_a_controller_that_steps(env, tmp_path):
    trace = run_episode(env, Walk(population=1), seed=0, options={"image": Picture("a")}, n_trials=4, guard=None)
    pages, _, _ = frames_of(animate_episode(env, trace, tmp_path / "a.gif", title="a", by_steps=True))
    assert len(pages) in (4, 5)  # each step, and the one applied unless it is the last


# --- in a session


@pytest.fixture
def drawn(settings, monkeypatch):
    """Session settings under which animations are really drawn."""
    monkeypatch.setattr("ciliary.tuning.sessions.episode.animate_episode", animate_episode)
    return settings


def play(settings):
    return run_session(settings, inputs_of("a"), make_env=lambda settings: PictureToy(), display=Recorder())


def test_a_session_keeps_it_beside_the_figure_and_in_the_store(drawn):
    (made,) = play(drawn).records
    path = drawn.out / "s" / "figures" / "a.gif"
    assert made["files"]["animation"] == str(path)
    assert Image.open(path).n_frames >= 2
    client = MlflowClient(tracking_uri=tracking_uri(drawn.out))
    experiment = client.get_experiment_by_name(SESSIONS)
    (run,) = client.search_runs([experiment.experiment_id], "tags.`ciliary.kind` = 'episode'")
    kept = {f.path for f in client.list_artifacts(run.info.run_id, "figures")}
    assert kept == {"figures/animation.gif", "figures/figure.png", "figures/stages.png"}


@pytest.mark.parametrize("change", [{"is_animated": False}, {"controller": "fixed"}, {"controller": "normalise"}])
def test_a_session_without(drawn, change):
    (made,) = play(replace(drawn, **change)).records
    assert "animation" not in made["files"]
    assert [p.name for p in (drawn.out / "s" / "figures").iterdir()] == ["a.png"]


def test_asking_for_no_animation_is_no_other_episode(drawn):
    assert drawn.fingerprint() == replace(drawn, is_animated=False).fingerprint()


@pytest.mark.parametrize(("n", "counts"), [(1, [1]), (3, [1, 2, 3]), (10, [1, 2, 4, 8, 10])])
def test_looks_are_shown_as_they_add_up(n, counts):
    assert [shot.i_trial + 1 for shot in plan_looks(n)] == counts


def test_many_looks_are_thinned_out():
    shown = [shot.i_trial + 1 for shot in plan_looks(400)]
    assert len(shown) <= MAX_FRAMES
    assert (shown[0], shown[-1]) == (1, 400)


def test_pictures_of_a_search_are_its_improvements_and_its_end():
    """Of one that ends elsewhere than at its last trial, without searching again."""
    from ciliary.tuning.sessions.episode import pictures_of
    from ciliary.tuning.sessions.make_env import make_controller
    from ciliary.tuning.sessions.playing import play
    from ciliary.tuning.sessions.settings import SessionSettings
    from ciliary_tests.worlds import Picture

    env = PictureToy()
    settings = SessionSettings(controller="random", n_trials=12)
    played = play(env, make_controller(settings), Picture("a"), seed=0, n_trials=12)
    total = played.trace.total
    best = np.minimum.accumulate(total)
    improved = [0, *(np.flatnonzero(np.diff(best) < 0) + 1)]
    pictures = pictures_of(played, env)
    assert [*pictures] == sorted({*improved, *({11} if improved[-1] != 11 else ()), 12})
    np.testing.assert_array_equal(pictures[11], pictures[12])
    np.testing.assert_array_equal(pictures[improved[-1]], pictures[12])
    assert [*pictures_of(played)] == [0, 12]
