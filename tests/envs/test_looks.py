"""Looks of an episode: what is counted, what is told, when there are enough, and whether the percept holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.agents.controllers.looks import DisagreementController, LooksState, PanelController
from ciliary.agents.episode import run_episode
from ciliary.agents.looking import Looking, decide
from ciliary.agents.trace import Ending
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.integration.looks import Looks, edges_of
from ciliary.cortex.integration.similarity import likeness
from ciliary.cortex.segmenters import SegmenterPerceiver
from ciliary.envs.holding import how_it_holds, perceive_together
from ciliary.envs.looks import LookBook
from ciliary.envs.objective.panel import draw_panel
from ciliary.envs.single import AccommodationEnv
from ciliary.envs.toy import ToyEnv

H, W = 24, 32


def bands(image, *, level=0.5, n=2.0):
    """Bands of light."""
    return np.digitize(image.mean(-1), np.linspace(level / n, level, int(n)))


def make_seer() -> SegmenterPerceiver:
    return SegmenterPerceiver(bands, {"level": (0.1, 0.9, 0.5), "n": (1.0, 4.0, 2.0)})


@pytest.fixture
def ramp():
    """Light grows from left to right."""
    return torch.linspace(0, 1, 64).expand(3, 48, 64).contiguous()


def make_env(image, **more) -> AccommodationEnv:
    options = {"objective": "looks", "action_mode": "absolute", "with_looks": True, "source": [image]}
    return AccommodationEnv(perceiver=GlancingPerceiver([make_seer()]), **{**options, **more})


def look(*maps) -> Looks:
    segments = torch.stack(maps)[None]
    return Looks(segments, edges_of(segments), torch.ones(1, len(maps)))


def halves() -> torch.Tensor:
    return (torch.arange(W) >= W // 2).long().repeat(H, 1)


def quarters() -> torch.Tensor:
    return 2 * halves() + (torch.arange(H) >= H // 2).long()[:, None]


def test_a_book_of_looks_by_hand():
    book, u = LookBook(), np.eye(4, dtype=np.float32)
    first = book.add(u[:1], look(halves()))
    assert {name: values.tolist() for name, values in first.items()} == {
        "agreement": [1],
        "surprise": [0],
        "change": [1],
    }
    second = book.add(u[1:2], look(quarters()))
    assert second["surprise"].item() == pytest.approx(0.5)  # quarters of which half is shared with a half, everywhere
    assert len(book) == 2
    assert u[1] in book
    assert u[3] not in book
    # the same setting is no new look, whatever comes with it
    again = book.add(u[:1], look(quarters()))
    assert again["change"].item() == 1
    assert len(book) == 2
    np.testing.assert_allclose(book.disagreement(u[[1, 0]]), [0.25, 0.25])
    with pytest.raises(KeyError):
        book.disagreement(u[3:])
    with pytest.raises(ValueError, match="no look was taken"):
        LookBook().percept  # noqa: B018


def test_looks_taken_together_are_put_together_once():
    u, book = np.eye(3, dtype=np.float32), LookBook()
    told = book.add(u, look(halves(), halves(), quarters()))
    assert len(set(told["agreement"].tolist())) == 1
    assert told["surprise"].tolist() == [0, 0, 0]  # there was nothing before them
    assert likeness(book.percept.segments, halves()[None]).item() == pytest.approx(1)


def test_the_answer_must_agree_better_than_the_defaults():
    u, book = np.eye(4, dtype=np.float32), LookBook()
    book.add(u, look(quarters(), halves(), halves(), halves()))
    each, together, decision = decide(book, u, Looking())
    np.testing.assert_allclose(each, [3 / 8, 1 / 8, 1 / 8, 1 / 8])
    assert together == pytest.approx(1 / 8)  # it is the halves
    assert decision.is_accepted
    assert decision.gain == pytest.approx(1 / 4)
    assert not decide(book, u, Looking(least_gain=0.3))[2].is_accepted
    assert not decide(book, u[[1, 0, 2, 3]], Looking())[2].is_accepted  # the defaults are the halves already


@pytest.mark.parametrize(
    ("change", "is_over"),
    [([1, 0, 0], False), ([1, 0, 0, 0], True), ([1, 0, 0.5, 0], False), ([1, 0.5, 0, 0, 0], True)],
)
def test_looking_is_over_when_nothing_changes(change, is_over):
    looking = Looking(patience=3, min_looks=4, tolerance=0.02)
    assert looking.is_over({"change": np.array(change, float)}) == is_over


def test_an_episode_whose_answer_is_all_looks_together(ramp):
    env = make_env(ramp)
    trace = run_episode(env, PanelController(), 0, n_trials=10, guard=None, looking=Looking())
    assert trace.is_integrated
    assert trace.n_trials == len(env.looks) == 10
    np.testing.assert_allclose(trace.u, draw_panel(env.evaluator.perceiver, 32)[:10], atol=1e-6)
    segments = env.looks.looks.segments[0]
    pairs = [likeness(segments[i].expand_as(segments), segments).mean() for i in range(10)]
    np.testing.assert_allclose(trace.total, 1 - np.array(pairs), atol=1e-6)
    assert trace.i_chosen == trace.total.argmin()
    assert trace.after["total"] == pytest.approx(1 - env.looks.percept.agreement.item())
    assert trace.terms["agreement"][-1] == pytest.approx(trace.after["agreement"])
    again = run_episode(make_env(ramp), PanelController(), 0, n_trials=10, guard=None, looking=Looking())
    np.testing.assert_array_equal(again.total, trace.total)


def test_the_guard_keeps_the_defaults(ramp):
    trace = run_episode(make_env(ramp), PanelController(), 0, n_trials=6, looking=Looking(least_gain=1.0))
    assert not trace.is_integrated
    assert trace.i_chosen == 0
    assert trace.guard is not None
    assert "kept" in trace.guard.reason


def test_the_best_single_look(ramp):
    trace = run_episode(
        make_env(ramp), PanelController(), 0, n_trials=10, looking=Looking(is_single=True, least_gain=-1)
    )
    assert not trace.is_integrated
    assert trace.i_chosen == trace.total.argmin()


def test_looking_ends_where_all_see_the_same():
    flat = torch.full((3, 48, 64), 0.95)
    trace = run_episode(make_env(flat), PanelController(), 0, n_trials=32, looking=Looking(patience=4, min_looks=8))
    assert trace.n_trials == 8
    assert trace.ending is Ending.CONVERGED
    assert not trace.is_integrated


def test_looks_that_were_not_kept_are_taken_again(ramp):
    answers = []
    for with_looks in (True, False):
        env = make_env(ramp, with_looks=with_looks)
        trace = run_episode(env, PanelController(), 0, n_trials=4, guard=None, looking=Looking())
        assert trace.is_integrated
        answers.append(env.looks.percept)
    assert torch.equal(answers[0].segments, answers[1].segments)
    torch.testing.assert_close(answers[0].uncertainty, answers[1].uncertainty)


def test_who_has_no_looks_says_so():
    with pytest.raises(ValueError, match="ToyEnv keeps no looks"):
        run_episode(ToyEnv(), PanelController(), 0, n_trials=4, looking=Looking())


def test_disagreement_looks_where_it_was_surprised():
    candidates = np.array([[0.0], [-0.5], [0.5], [-0.6], [0.6]], np.float32)
    controller = DisagreementController(reach=0.1)
    state = LooksState(candidates, (0, 1, 2), (0.0, 0.1, 0.6))
    assert controller.choose(state, 1) == [4]  # near the one that surprised
    state = LooksState(candidates, (0, 2), (0.0, 0.3))
    assert set(controller.choose(state, 2)) == {1, 3}  # what is far from all is worth more than what is near one
    assert controller.choose(LooksState(candidates), 1) == [0]


def test_a_panel_without_recommendations_is_the_defaults(ramp):
    trace = run_episode(make_env(ramp, objective="raw"), PanelController(), 0, n_trials=8, looking=Looking())
    assert trace.n_trials == 1


def test_what_holds_and_what_does_not(ramp):
    """A scene of two plain halves holds in any light; pure noise holds nowhere."""
    seer = make_seer()
    default = seer.table.default_unit()
    plain = torch.zeros(3, 48, 64)
    plain[..., 32:] = 1.0
    noisy = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    good, bad = (how_it_holds(seer, image, {"it": default}, seed=1)["it"] for image in (plain, noisy))
    assert good["stability"] < 0.02
    assert good["consistency"] < 0.1
    assert bad["consistency"] > 0.5
    panel = torch.as_tensor(draw_panel(seer, 4))
    both = how_it_holds(seer, ramp, {"one": default, "all": panel}, seed=1)
    assert both["one"] == how_it_holds(seer, ramp, {"one": default}, seed=1)["one"]  # the same views for all
    assert 0 <= both["all"]["stability"] <= 1


def test_perceiving_together_is_perceiving_each_and_integrating(ramp):
    seer, images = make_seer(), torch.stack([ramp, 1 - ramp])
    u = torch.as_tensor(draw_panel(seer, 4))
    found = perceive_together(seer, images, u)
    for i, image in enumerate(images):
        alone = perceive_together(seer, image[None], u)
        assert torch.equal(found[i].segments, alone.segments)
    env = make_env(ramp)
    env.reset(seed=0)
    wide = np.concatenate([u.numpy(), np.tile(env.default_u[2:], (4, 1))], 1)
    env.take_looks(wide)
    torch.testing.assert_close(env.looks.percept.uncertainty, found[0].uncertainty)
    assert set(env.judge_looks()) >= {"collapse", "economy"}
    assert set(env.holds({"before": wide[:1]}, 3)["before"]) == {"stability", "consistency"}
