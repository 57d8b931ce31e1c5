"""The figures of each stage: what is drawn is what was perceived."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex, default_theta
from ciliary.cortex.description import PARTS
from ciliary.cortex.plot.early import contour_parts, draw_retina, end_points
from ciliary.cortex.plot.late import merge_curve, texture_pictures
from ciliary.cortex.plot.look import label_map, look, proto_objects
from ciliary.cortex.plot.overview import draw_stages
from ciliary.cortex.plot.recognition import complete_without, draw_m5, expert_usage, likeness, shape_frame
from ciliary.cortex.stages.m2_learned import LEARNED_SHARE
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.targets import make_targets
from ciliary.tuning.inspect.techniques import chosen

FIGURES = {
    one.name: lambda look, one=one: one.draw(Seen(look, make_targets(look), is_quick=True))
    for one in chosen(is_quick=True)
}
N_AXES = {"retina": 8, "filters": 36, "m1": 6, "m2": 3, "m3": 3, "m4": 3, "occlusion": 6}
TITLES = {
    "retina": {"L cones (long waves)", "Red – green", "ON and OFF cells"},
    "m1": {"Orientation", "Boundary", "Regions S1"},
    "m2": {"Contour and its end points", "Barrier", "Regions S2"},
    "m3": {"Patches", "Slots", "Texture, three components"},
    "m4": {"Proto-objects", "Cost of each merge"},
    "m5": {"Where they are", "How like their codes are (cosine)"},
    "occlusion": {"code", "slot:1", "How far it falls (orange)"},
}


def titles(figure):
    return {ax.get_title(loc="left") for ax in figure.axes}


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def shown(figure, title):
    (ax,) = [ax for ax in figure.axes if ax.get_title(loc="left") == title]
    return np.asarray(ax.images[0].get_array())


@pytest.mark.parametrize("name", list(FIGURES))
def test_every_figure_is_drawn_and_leaves_nothing_behind(mathematical, name):
    before = dict(matplotlib.rcParams)
    figure = FIGURES[name](mathematical)
    assert TITLES.get(name, set()) <= titles(figure)
    assert len(figure.axes) == N_AXES.get(name, len(figure.axes))
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["retina", "m4"])
def test_the_same_look_is_the_same_picture(mathematical, name):
    again = look(mathematical.cortex, mathematical.image, name=mathematical.name)
    assert png(FIGURES[name](mathematical)) == png(FIGURES[name](again))


def test_learned_parts_are_shown_beside_the_mathematics(learned):
    assert learned.learned == ("m2", "m3", "m5")
    m2 = FIGURES["m2"](learned)
    assert {"Contour, mathematical part", "Contour, learned part", "Regions S2"} <= titles(m2)
    mixed = (1 - LEARNED_SHARE) * shown(m2, "Contour, mathematical part")
    mixed = mixed + LEARNED_SHARE * shown(m2, "Contour, learned part")
    np.testing.assert_allclose(shown(m2, "Contour and its end points"), mixed, atol=1e-5)
    assert set(texture_pictures(learned.percept.m3)) == {"Texture, three components", "Learned texture code"}


def test_a_mathematical_contour_has_no_parts(mathematical):
    assert mathematical.learned == ()
    assert contour_parts(mathematical) is None


def test_boundaries_are_drawn_as_they_are(mathematical):
    np.testing.assert_allclose(
        shown(FIGURES["m1"](mathematical), "Boundary"), mathematical.percept.m1.boundary[0, 0], atol=1e-6
    )


def test_end_points_are_the_strongest_peaks(mathematical):
    response = torch.zeros(1, 1, 40, 40)
    response[0, 0, 10, 12], response[0, 0, 30, 5], response[0, 0, 20, 35] = 0.9, 0.5, 0.01
    found = end_points(replace(mathematical.percept.m2, end_points=response))
    assert {tuple(p) for p in found.tolist()} == {(10, 12), (30, 5)}  # the third is too weak


def test_proto_objects_are_the_segments_by_weight(mathematical):
    percept = mathematical.percept
    objects = proto_objects(percept)
    assert len(objects) == int(percept.labels().max()) + 1
    assert sum(o.mask for o in objects).tolist() == np.ones((48, 64)).tolist()  # each pixel is of one
    weights = [o.weight for o in objects]
    assert weights == sorted(weights, reverse=True)
    for o in objects:
        assert o.objectness == pytest.approx(float(percept.m4.objectness[0, o.slot]))
        assert (label_map(percept)[o.mask] == o.slot).all()
    assert [o.slot for o in proto_objects(percept, n_most=2)] == [o.slot for o in objects[:2]]


def test_without_recognition_objects_weigh_as_much_as_they_cover(chelsea):
    percept = look(Cortex(), chelsea[0]).percept
    objects = proto_objects(percept)
    assert [o.weight for o in objects] == pytest.approx([o.mask.mean() for o in objects])
    with pytest.raises(ValueError, match="recognise=True"):
        draw_m5(look(Cortex(), chelsea[0]))


def test_objectness_stands_on_the_objects(mathematical):
    figure = FIGURES["m4"](mathematical)
    numbers = [t.get_text() for t in figure.axes[0].texts]
    assert numbers == [f"{o.objectness:.2f}".lstrip("0") for o in proto_objects(mathematical.percept)]


def test_numbers_that_have_no_room_are_counted_not_piled_up(mathematical):
    """Twelve blocks of 2 px, far smaller than a number, and wide stripes, along which numbers can step aside."""
    m4 = mathematical.percept.m4
    n = m4.masks.shape[1]
    owner = (n - 5 + torch.arange(48) // 10)[:, None].repeat(1, 64)
    owner[20:28, 30:36] = torch.arange(12).reshape(4, 3).repeat_interleave(2, 0).repeat_interleave(2, 1)
    striped = replace(m4)
    vars(striped)["masks"] = (torch.arange(n)[:, None, None] == owner).float()[None]  # else made of patches, once
    percept = replace(mathematical.percept, m4=striped, m5=None)
    figure = draw_stages(mathematical.image, percept, title="stripes")
    (ax,) = [ax for ax in figure.axes if ax.get_title(loc="left") == "M4: objectness"]
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert 6 <= len(boxes) < 17
    assert ax.get_xlabel() == f"17 proto-objects, {len(boxes)} numbered"


def test_a_grey_image_says_that_it_has_no_colour(mathematical):
    grey = mathematical.image.mean(0, keepdim=True).expand(3, -1, -1).contiguous()
    seen = look(mathematical.cortex, grey)
    figures = (draw_retina(seen), draw_stages(seen.image, seen.percept, title="grey"))
    for figure, titles in zip(figures, (("Red – green", "Blue – yellow"), ("Retina: red – green",)), strict=True):
        blank = [ax for ax in figure.axes if [t.get_text() for t in ax.texts] == ["a grey image: no colour"]]
        assert tuple(ax.get_title(loc="left") for ax in blank) == titles
        figure.canvas.draw()
        assert all(ax.bbox.width > ax.texts[0].get_window_extent().width for ax in blank)  # within its frame
    assert not any("grey" in t.get_text() for ax in draw_retina(mathematical).axes for t in ax.texts)


def test_the_experts_of_an_object_stand_on_axes(learned):
    bars = [ax for ax in draw_m5(learned).axes if len(ax.patches) == 16][:-1]  # the last is of the whole image
    gate = learned.percept.m5.gate[0].numpy()
    for ax, one in zip(bars, proto_objects(learned.percept, n_most=8), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], gate[one.slot], atol=1e-6)
        assert ax.get_ylim() == (0, 1)
        assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "16"]
        named = [int(word) - 1 for word in ax.get_xlabel().split(",")]
        assert named == np.flatnonzero(gate[one.slot] > 0).tolist()
    assert [label.get_text() for label in bars[0].get_yticklabels()] == ["0", "", "1"]


def test_the_merge_curve_by_hand(mathematical):
    height = torch.tensor([[0.1, 0.2, 0.4, torch.inf, torch.inf]])
    m4 = replace(mathematical.percept.m4, merge_height=height)
    theta = default_theta(1, threshold_adaptation=0.0, merge_threshold=0.3)
    n_left, cost, threshold = merge_curve(m4, theta)
    assert n_left.tolist() == [3, 2, 1]
    np.testing.assert_allclose(cost, [0.1, 0.2, 0.4], rtol=1e-6)
    assert threshold == pytest.approx(0.3)
    own = default_theta(1, threshold_adaptation=1.0, expected_objects=2.0)
    assert merge_curve(m4, own)[2] == pytest.approx(0.2)  # the merge that leaves two


def test_usage_and_likeness(learned):
    m5, objects = learned.percept.m5, proto_objects(learned.percept, n_most=8)
    usage = expert_usage(m5)
    assert usage.shape == (16,)
    assert usage.sum() == pytest.approx(1, abs=1e-5)
    by_hand = sum(float(m5.weight[0, s]) * m5.gate[0, s].numpy() for s in range(m5.gate.shape[1]))
    np.testing.assert_allclose(usage, by_hand, atol=1e-6)
    table = likeness(m5, objects)
    np.testing.assert_allclose(table, table.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)
    assert {"Experts, over the image"} <= titles(draw_m5(learned))


def test_a_hidden_shape_is_not_looked_at(learned):
    """Completion without the shape is the same whatever the shape was, and not what it says when it sees it."""
    m5 = learned.percept.m5
    other = m5.description.clone()
    other[..., PARTS["shape"]] = torch.rand_like(other[..., PARTS["shape"]])
    blind = complete_without(learned, "shape")
    changed = replace(learned, percept=replace(learned.percept, m5=replace(m5, description=other)))
    torch.testing.assert_close(complete_without(changed, "shape"), blind)
    assert (blind - m5.completed[0])[:, PARTS["shape"]].abs().max() > 1e-3
    assert (complete_without(changed, "colour") - complete_without(learned, "colour")).abs().max() > 1e-3


def test_unlearned_completion_is_the_gist(mathematical):
    torch.testing.assert_close(complete_without(mathematical, "shape"), mathematical.percept.m5.completed[0])


def test_shape_frames_are_the_part_of_the_description():
    description = torch.zeros(PARTS["strokes"].stop)
    description[PARTS["shape"]] = torch.linspace(0, 1, 36)
    frame = shape_frame(description)
    assert frame.shape == (6, 6)
    assert frame[0, 0] == 0
    assert frame[5, 5] == 1
    assert frame[0, 5] == pytest.approx(5 / 35)


@pytest.mark.parametrize("kind", ["mathematical", "learned"])
def test_the_overview_shows_every_stage(request, kind):
    one = request.getfixturevalue(kind)
    figure = draw_stages(one.image, one.percept, title="a cat in fog", note="as it is")
    assert len(figure.axes) == (13 if kind == "learned" else 12)
    stages = {title.split(":")[0] for title in titles(figure)}
    assert {"Retina", "M1", "M2", "M3", "M4"} <= stages
    assert figure.texts[0].get_text() == "a cat in fog"
    assert plt.get_fignums() == []
