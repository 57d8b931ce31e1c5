"""``--learned`` from the command line to the results: accommodate, evaluate, compare and calibrate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ciliary.tuning.calibration import job as calibrating
from ciliary.tuning.runs.store import EVALUATIONS, open_store
from ciliary_tests.labelled import write_labelled
from ciliary_tests.learned import write_untrained
from ciliary_tests.loading import load_script

SCRIPTS_WITH_IT = ("accommodate", "evaluate", "compare", "calibrate")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    path = write_untrained(tmp_path / "cortex.safetensors")
    monkeypatch.setattr("ciliary.cortex.stages.weights.SHIPPED", path)
    return path


@pytest.fixture
def photo(tmp_path):
    page = np.kron(np.random.default_rng(0).integers(0, 255, (4, 5, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    Image.fromarray(page).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("name", SCRIPTS_WITH_IT)
@pytest.mark.parametrize("wrong", ["m1", "m4", "m9"])
def test_wrong_stages_are_wrong_usage(name, wrong, capsys):
    assert load_script(name).main(["--learned", f"m2,{wrong}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"learned knows no '{wrong}'; choose from m2, m3, m5")


@pytest.mark.parametrize("name", SCRIPTS_WITH_IT)
def test_missing_weights_are_named(name, tmp_path, monkeypatch, photo, capsys):
    monkeypatch.setattr("ciliary.cortex.stages.weights.SHIPPED", tmp_path / "none.safetensors")
    labelled = ["--labelled", str(write_labelled(tmp_path / "mine", n_images=10)), "--out", str(tmp_path / "o.npz")]
    what = [str(photo), "--out", str(tmp_path / "o")] if name == "accommodate" else labelled
    where = ["--work", str(tmp_path / "w")] if name == "calibrate" else []
    assert load_script(name).main([*what, *where, "--learned", "all"]) == (1 if name == "calibrate" else 2)
    assert f"no learned cortex at {tmp_path / 'none.safetensors'}" in capsys.readouterr().err


@pytest.mark.slow
def test_accommodation_with_learned_stages_for_recognition(shipped, photo, out, monkeypatch):
    for page in ("draw_episode", "draw_stages"):  # drawn elsewhere
        monkeypatch.setattr(
            f"ciliary.tuning.sessions.episode.{page}", lambda *args, **more: Figure(figsize=(0.1, 0.1)), raising=False
        )
    arguments = [str(photo), "--controller", "random", "--trials", "3", "--population", "2", "--size", "48", "--quiet"]
    arguments += ["--objective", "recognition", "--no-animation", "--out", str(out), "--session", "s", "--resume"]
    arguments += ["--inherited", "none"]
    main = load_script("accommodate").main
    assert [main([*arguments, *more]) for more in ([], ["--learned", "m2,m5"], ["--learned", "m2,m5"])] == [0, 0, 0]
    records = [json.loads(line) for line in (out / "s" / "episodes.jsonl").open()]
    assert len(records) == 2  # the third found the second's episode done, the second not the first's
    plain, learned = records
    assert plain["objective"] == "recognition"
    assert learned["objective"].startswith("recognition learned m2,m5 ")
    assert plain["settings"] != learned["settings"]
    for record in records:
        assert {"code_stability", "completion", "gate_entropy"} <= set(record["before"])
    assert plain["before"]["gate_entropy"] == 0  # one expert
    assert learned["before"]["gate_entropy"] > 0
    assert plain["before"]["total"] != learned["before"]["total"]


def test_evaluation_says_with_which_stages(shipped, tmp_path, out):
    arguments = ["--labelled", str(write_labelled(tmp_path / "mine")), "--methods", "fixed", "--disturb", "none"]
    arguments += ["--size", "64", "--quiet", "--no-portraits", "--out", str(out), "--learned", "m3,m2"]
    assert load_script("evaluate").main(arguments) == 0
    assert "depth none, features none, learned m2 m3" in (out / "results.md").read_text()
    store = open_store(out, experiment=EVALUATIONS)
    (run,) = store.client.search_runs([store.experiment_id])
    assert json.loads(run.data.params["learned"]) == ["m2", "m3"]


@pytest.mark.slow
def test_a_race_says_with_which_stages(shipped, tmp_path, out):
    arguments = ["--labelled", str(write_labelled(tmp_path / "mine", n_images=1)), "--methods", "random:raw:2"]
    arguments += ["--disturb", "none", "--size", "64", "--seeds", "1", "--quiet", "--out", str(out), "--learned", "m3"]
    assert load_script("compare").main(arguments) == 0
    assert "depth none, features none, learned m3" in (out / "controllers.md").read_text()


def test_a_calibration_gets_the_stages_asked_for(tmp_path, monkeypatch):
    asked = []

    def run(data, names, settings, **more):
        asked.append(settings.learned)
        raise ValueError("enough")

    monkeypatch.setattr(calibrating, "learn", run)
    arguments = ["--labelled", str(write_labelled(tmp_path / "mine"))]
    for more in ([], ["--learned", "m5,m2"], ["--learned", "none"]):
        assert load_script("calibrate").main([*arguments, *more]) == 1
    assert asked == [(), ("m2", "m5"), ()]
