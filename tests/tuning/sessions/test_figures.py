"""The page of an episode: drawn from a real trace, without a trace of its own in matplotlib."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ciliary.cortex.plot import paint
from ciliary.cortex.table import ParameterTable
from ciliary.envs.objective.terms import TERMS
from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions import figures, panels
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.playing import play
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.worlds import Picture, PictureToy

SETTINGS = SessionSettings(controller="random", n_trials=5)  # none of them is better than the defaults
LONGER = replace(SETTINGS, n_trials=12)  # one is


class Scored(PictureToy):
    """The toy world judged as the calibrated objective judges: no views, and a predicted score."""

    def evaluate(self, u, views_seed=None):
        evaluation = super().evaluate(u, views_seed)
        terms = {name: evaluation.terms[name] for name in ("total", "collapse", "economy")}
        return replace(evaluation, terms=terms | {"predicted_score": 1 - terms["total"]})

    def _observe(self):
        self._terms = dict.fromkeys(TERMS, 0.0) | self._terms  # the toy world feels all of them
        return super()._observe()


def page(settings=SETTINGS, picture=None, env=None, n_recommended=0):
    picture = picture or Picture("a")
    played = play(env or PictureToy(), make_controller(settings), picture, seed=0, n_trials=settings.n_trials)
    record = records.build(settings.key("a", "f", "none"), played.trace, picture)
    return record, figures.draw_episode(record, played, n_recommended=n_recommended)


@pytest.mark.parametrize("controller", ["fixed", "normalise", "random"])
def test_page(tmp_path, controller):
    before = dict(matplotlib.rcParams)
    record, figure = page(replace(LONGER, controller=controller))
    path = figures.write_figure(figure, tmp_path / "sub" / "page.png")
    with Image.open(path) as image:
        assert image.width > 1000
        assert np.asarray(image.convert("L")).std() > 5
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
    assert len(figure.axes) == (5 if controller == "fixed" else 8)
    assert f"{record['before']['total']:.3f}" in figure.texts[1].get_text()


def test_page_of_an_image_without_any_finite_loss():
    env = PictureToy()
    env.nonfinite_trials = frozenset(range(50))
    _, figure = page(env=env)
    assert "no finite loss" in figure.texts[1].get_text()
    figure.canvas.draw()


def test_what_was_kept_is_shown_once():
    _, kept = page(replace(SETTINGS, controller="fixed"))
    titles = [ax.get_title(loc="left") for ax in kept.axes]
    assert titles == [
        "What was seen",
        "Regions, defaults kept",
        "Boundary, defaults kept",
        "Loss over trials",
        "Losses, defaults kept",
    ]
    terms = kept.axes[-1]
    assert len(terms.patches) == len(terms.get_yticklabels())  # one bar each
    assert terms.get_legend() is None
    record, changed = page(LONGER)
    assert record["i_chosen"] > 0
    titles = {ax.get_title(loc="left") for ax in changed.axes}
    assert {"Regions, defaults", "Regions, accommodated", "What moved most", "Losses (lower is better)"} <= titles
    terms = changed.axes[-1]
    assert len(terms.patches) == 2 * len(terms.get_yticklabels())


@pytest.mark.parametrize(
    ("tried", "n"),
    [
        ([0, 1, 2, 3, 9, 1], 4),  # the defaults, the list, searching
        ([0, 2, 9, 3], 2),  # part of the list
        ([0, 1, 2], 3),  # nothing was searched
        ([0, 9, 1], 0),  # a proposal of its own comes first
        ([0], 0),
    ],
)
def test_where_searching_starts(tried, n):
    rng = np.random.default_rng(0)
    settings = rng.uniform(-1, 1, (10, 6))
    near = settings[tried] + rng.uniform(-1e-5, 1e-5, (len(tried), 6))  # a sampler keeps them in other units
    assert panels.count_recommended(near, settings[1:4]) == n
    assert panels.count_recommended(near, None) == 0


def test_recommended_trials_lie_on_a_ground_of_their_own():
    for n, words in ((3, "searching starts at 3"), (5, "nothing was searched")):
        losses = page(n_recommended=n)[1].axes[-2]
        (ground,) = losses.patches
        assert ground.get_extents().transformed(losses.transData.inverted()).x1 == pytest.approx(n - 0.5)
        assert words in losses.get_xlabel()
        assert "recommended" in [text.get_text() for text in losses.get_legend().get_texts()]
    losses = page()[1].axes[-2]
    assert not losses.patches
    assert losses.get_xlabel() == "trial"


def test_names_of_users_are_no_formulas():
    """Dollars in names of files, parameters and terms are drawn as they are."""
    toy = PictureToy()
    u = toy.default_u
    rows = [replace(row, name=f"$\\no{{such}}{i}$") for i, row in enumerate(toy.parameters)]
    _, figure = page(picture=Picture("$\\frac$"))
    losses, terms = Figure(), Figure()
    panels.moved(losses.add_subplot(), u, u + 0.1, {row.name: 1.0 for row in rows}, ParameterTable(rows))
    before = {"total": 0.5, "predicted_score": 0.5}
    ax = terms.add_subplot()
    panels.terms(ax, before, before)
    for one in (figure, losses, terms):
        one.savefig(io.BytesIO(), format="png")


def words_of(figure):
    """All that is written on a page, without the numbers at its axes."""
    texts = [text.get_text() for text in figure.texts]
    for ax in figure.axes:
        texts += [ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()]
        texts += [label.get_text() for label in (*ax.get_xticklabels(), *ax.get_yticklabels())]
        texts += [text.get_text() for text in ax.texts]
    return " | ".join(text.replace("\n", " ") for text in texts)


def test_a_page_shows_what_was_measured():
    raw, scored = (words_of(page(env=env)[1]) for env in (PictureToy(), Scored()))
    for word in ("stability", "consistency"):
        assert word in raw
        assert word not in scored
    for word in ("collapse", "economy"):
        assert word in raw
        assert word in scored
    assert "total: minimised" in raw
    assert "total: minimised" not in scored
    assert "predicted" not in raw
    assert "1 − predicted score: minimised" in scored
    assert re.search(r"regions?( in \d+ parts)?  ·  predicted score", scored)


def losses_of(objective, **more):
    record = {"objective": objective, "history": {"total": [0.5, 0.4], **more}}
    before = {"total": 0.5, "stability": 0.3, "economy": 0.6}
    ax = Figure().add_subplot()
    panels.terms(ax, before, {**before, "total": 0.4}, record)
    return [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()], [one.get_text() for one in ax.texts]


def test_what_was_minimised_is_named_apart_from_what_was_told_beside_it():
    names, words = losses_of("agreement inherited 1234")
    assert names == ["disagreement with a panel: minimised", "stability, in other light", "economy, effort"]
    assert "not minimised" in words
    assert losses_of("looks 1234", change=[1.0, 0.1])[0][0] == "disagreement with all looks: minimised"
    names, words = losses_of("raw 1234")
    assert names[0] == "total of the terms: minimised"
    assert "its parts" in words


def test_looks_are_no_search_that_gets_better():
    looks, search = (Figure().add_subplot() for _ in range(2))
    panels.history(looks, [0.5, 0.3, 0.4], [0.5, 0.3, 0.3], 0.5, 1, together=0.25, is_of_looks=True)
    panels.history(search, [0.5, 0.3, 0.4], [0.5, 0.3, 0.3], 0.5, 1)
    words = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in (looks, search)]
    assert words == [
        ["defaults", "a look", "all together", "best single"],
        ["defaults", "trial", "best so far", "applied"],
    ]
    assert looks.get_xlabel() == "look"


def test_every_total_lies_within_the_axes_and_equal_ones_are_not_looked_at_closely():
    ax = Figure().add_subplot()
    panels.history(ax, [1e-4, 2e-4, 1.4e-4], [1e-4] * 3, 1e-4, 0)
    low, high = ax.get_ylim()
    assert high - low > 0.02
    ax = Figure().add_subplot()
    total = [0.5, *np.linspace(0.4, 0.5, 8), 9.0]
    panels.history(ax, total, np.minimum.accumulate(total).tolist(), 0.5, 1)
    (over,) = (line for line in ax.lines if line.get_marker() == "^")
    assert over.get_ydata()[0] < ax.get_ylim()[1]  # a mark at the edge, whole
    assert [text.get_text().strip() for text in ax.texts] == ["9.00"]  # and how far beyond it is


def test_regions_are_painted_in_their_mean_colour():
    image = np.zeros((4, 6, 3))
    image[:, :3] = [1, 0, 0]
    image[:, 3:] = [0, 0, 1]
    image[0, 0] = [0, 0, 0]
    labels = np.repeat([[0, 0, 0, 1, 1, 1]], 4, 0)
    page = paint.paint_regions(image, labels)
    assert page.shape == (16, 24, 3)
    np.testing.assert_allclose(page[8, 2], [11 / 12, 0, 0])
    np.testing.assert_allclose(page[8, 20], [0, 0, 1])
    np.testing.assert_allclose(page[8, 11], [1, 1, 1])  # the border


def test_the_note_says_what_was_gained():
    record = {"image": "cat", "disturbance": "none", "controller": "tpe", "n_trials": 1}
    record |= {"before": {"total": 0.5}, "after": {"total": 0.4}}
    assert figures.title(record) == "cat  ·  undisturbed  ·  tpe"
    assert figures.result(record) == "1 trial  ·  total 0.500 → 0.400 (−20 %)"
    record |= {"before": {"total": 0.5, "predicted_score": 0.5}, "after": {"total": 0.4, "predicted_score": 0.6}}
    assert figures.result(record).endswith("·  predicted score 0.500 → 0.600")
    record["after"] = record["before"]
    assert figures.result(record).endswith("·  predicted score 0.500 unchanged")
