import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("stable_baselines3")

from ciliary.agents.eye.playing import Played
from ciliary.agents.eye.policy import load_eye_policy
from ciliary.agents.eye.together import TogetherController
from ciliary.envs.data.gaze import is_to_choose
from ciliary.tuning.cli import app
from ciliary.tuning.eye.exam import POLICIES, as_csv, as_markdown, rows_of
from ciliary.tuning.eye.kept import kept
from ciliary.tuning.eye.scenes import evenly, parts_of


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve pictures of noise, 320 x 240 px, on either side of the halving."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    names = [f"{i}" for i in range(80)]
    some = [name for name in names if is_to_choose(name)][:8] + [name for name in names if not is_to_choose(name)][:4]
    for name in some:
        Image.fromarray(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


def played(gain):
    gain = np.asarray(gain, dtype=float)
    terms = {name: np.zeros(len(gain)) for name in ("gaze", "focus", "pupil", "total")}
    return Played(gain, np.full(len(gain), 16), terms, terms, np.zeros(len(gain)), np.zeros(len(gain)))


def test_what_is_learned_chosen_and_told_on_are_three_parts(pictures):
    parts = parts_of(pictures)
    assert {name: len(one) for name, one in parts.items()} == {"learn": 6, "choose": 2, "tell": 4}
    assert sorted(i for one in parts.values() for i in one) == list(range(12))
    assert evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert evenly(range(3), 5) == [0, 1, 2]


def test_policies_are_told_beside_the_best_rule_by_photograph():
    found = {
        "still": played([0, 0, 0]),
        "eye-reflex": played([1, 1, 1]),
        "eye-settle": played([1, 2, 3]),
        "PPO 0": played([2, 3, 4]),
        "PPO 1": played([4, 5, 6]),
    }
    rows = {row.name: row for row in rows_of(found)}
    assert rows["eye-settle"].over_rule is None
    assert rows["PPO 0"].over_rule.mean == rows["PPO 0"].over_rule.low == 1  # paired: every photograph gains as much
    assert rows[POLICIES].over_rule.mean == 2
    assert rows["still"].over_rule.high < 0
    table = as_markdown(list(rows.values()))
    assert table.count("\n") == 2 + len(rows)
    assert as_csv(found, ["a", "b", "c"]).count("\n") == 1 + 3 * len(found)


@pytest.mark.slow
def test_a_training_is_examined_and_goes_on(pictures, tmp_path, capsys):
    out = tmp_path / "training"
    command = [
        "train",
        "eye",
        "--scenes",
        str(pictures),
        "--envs",
        "2",
        "--taught",
        "2",
        "--places",
        "6",
        "--out",
        str(out),
    ]
    assert app.main([*command, "--minutes", "0.05"]) == 0
    about = load_eye_policy(out / "eye.safetensors").about
    assert about["seed"] == 0
    assert (out / "curve.png").is_file()
    n_rows = len((out / "progress.jsonl").read_text().splitlines())
    assert app.main([*command, "--minutes", "1.0"]) == 0
    rows = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert len(rows) > n_rows
    assert rows[-1]["minutes"] > 0.05
    assert app.main([*command, "--seed", "1", "--minutes", "0.05"]) == 1  # another training's folder
    assert "seed" in capsys.readouterr().err
    exam = ["eye", "--scenes", str(pictures), "--policies", str(out / "eye.safetensors"), "--images", "2"]
    assert app.main([*exam, "--ceiling", "1", "--out", str(tmp_path)]) == 0
    assert "PPO training" in capsys.readouterr().out
    assert (tmp_path / "eye.csv").read_text().count("\n") == 1 + 8 * 2


def test_what_cannot_be_done_is_said_in_a_line(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert app.main(["train", "eye", *out]) == 2
    assert app.main(["eye", "--scenes", str(tmp_path / "nowhere"), *out]) == 1
    err = capsys.readouterr().err
    assert "nowhere" in err


def test_who_was_played_is_not_played_again(tmp_path):
    calls = []

    def play():
        calls.append(1)
        return played([1.0, 2.0])

    rule, other = TogetherController(None, None, None), TogetherController(None, None)
    first = kept(tmp_path, rule, ["a", "b"], "0", play)
    again = kept(tmp_path, rule, ["a", "b"], "0", play)
    np.testing.assert_array_equal(first.gain, again.gain)
    assert again.after.keys() == first.after.keys()
    assert len(calls) == 1
    for changed in ((other, ["a", "b"], "0"), (rule, ["a", "c"], "0"), (rule, ["a", "b"], "1")):
        kept(tmp_path, *changed, play)
    assert len(calls) == 4
