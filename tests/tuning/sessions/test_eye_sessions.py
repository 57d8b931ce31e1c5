"""Sessions of ``focus`` and ``gaze`` are sessions like any other: a store that is gone, shards, workers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from scipy import ndimage

from ciliary.tuning.cli import app
from ciliary.tuning.focus import session as focusing
from ciliary.tuning.gaze import session as gazing
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.store import FOCUSING, GAZING, tracking_uri
from ciliary.tuning.sessions import ray_crew, ray_worker
from ciliary.tuning.sessions.resume import Session
from ciliary_tests.fake_ray import FakeRay

QUICK = ["--size", "48", "--fixations", "2", "--no-animation", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _unseen(monkeypatch):
    """No figures but a file each."""
    for session in (focusing, gazing):
        monkeypatch.setattr(session, "write_figure", lambda figure, path: write_atomically(path, b""))
    monkeypatch.setattr(focusing, "draw_focus", lambda *arguments, **words: None)
    monkeypatch.setattr(gazing, "draw_gaze", lambda *arguments, **words: None)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Three stacks of two frames of noise."""
    folder = tmp_path_factory.mktemp("scenes")
    for i, name in enumerate(("one", "three", "two")):
        (folder / name).mkdir()
        sharp = np.random.default_rng(i).integers(0, 255, (32, 40, 3)).astype(float)
        for j, sigma in enumerate((2, 0)):
            frame = ndimage.gaussian_filter(sharp, (sigma, sigma, 0))
            Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(folder / name / f"frame{j}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, name in enumerate("abc"):
        page = np.kron(np.random.default_rng(i).integers(0, 255, (4, 5, 3)), np.ones((20, 20, 1))).astype(np.uint8)
        Image.fromarray(page).save(folder / f"{name}.png")
    return folder


def kept(folder):
    return records.read(folder / records.FILE)


def runs_of(out, experiment):
    client = MlflowClient(tracking_uri=tracking_uri(out))
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {run.info.run_name: run.info.status for run in found}


def measured(out, run_name, metric):
    """What a metric was, step by step."""
    client = MlflowClient(tracking_uri=tracking_uri(out))
    experiment = client.get_experiment_by_name(GAZING).experiment_id
    run = client.search_runs([experiment], f"attributes.run_name = '{run_name}'")[0]
    return [one.value for one in client.get_metric_history(run.info.run_id, metric)]


def test_a_store_that_is_gone_costs_no_scene_and_is_told_once(stacks, out, monkeypatch, capsys):
    asked = ["focus", str(stacks), "--looks", "2", "--no-animation", "--quiet", "--out", str(out), "--session", "s"]

    def gone(*arguments, **more):
        raise OSError("no route")

    monkeypatch.setattr(Session, "episode", gone)
    assert app.main(asked) == 3
    first, last = capsys.readouterr().err.splitlines()
    assert first == f"focus: {stacks / 'one'}: not tracked: OSError: no route"
    assert last.startswith("focus: 2 more episodes were not tracked; what is done is in ")
    assert [(r["image"], r["status"]) for r in kept(out / "s")] == [(n, "FINISHED") for n in ("one", "three", "two")]
    assert all((out / "s" / "figures" / f"{name}.png").is_file() for name in ("one", "three", "two"))
    assert runs_of(out, FOCUSING) == {"s": "FINISHED"}
    monkeypatch.undo()
    assert app.main([*asked, "--resume"]) == 0
    assert capsys.readouterr().err == ""
    assert len(kept(out / "s")) == 3  # nothing stands twice
    assert runs_of(out, FOCUSING) == dict.fromkeys(["s", "one focus", "three focus", "two focus"], "FINISHED")


def test_a_scene_that_is_stopped_is_watched_again_and_the_others_are_not(stacks, out, monkeypatch):
    asked = ["focus", str(stacks), "--looks", "3", "--no-animation", "--quiet", "--out", str(out), "--session", "s"]
    seen = []

    def stopping(progress):
        seen.append(progress.n_done)
        if len(seen) == 4:  # at the first look of the second scene
            os.kill(os.getpid(), signal.SIGINT)

    watch = focusing.watch
    monkeypatch.setattr(
        focusing,
        "watch",
        lambda scene, settings, *, on_look: watch(
            scene, settings, on_look=lambda progress: (stopping(progress), on_look(progress))
        ),
    )
    assert app.main(asked) == 130
    assert runs_of(out, FOCUSING) == {"s": "KILLED", "one focus": "FINISHED", "three focus": "KILLED"}
    assert [record["image"] for record in kept(out / "s")] == ["one"]
    seen[:] = [0] * 9
    assert app.main(asked) == 0
    assert seen[9:] == [1, 2, 3] * 2
    assert [record["image"] for record in kept(out / "s")] == ["one", "three", "two"]


def numbers(found):
    """What does not depend on the clock."""
    return [{name: value for name, value in record.items() if name != "seconds"} for record in found]


def test_merged_shards_of_gaze_are_the_whole(photos, out, capsys):
    asked = ["gaze", str(photos), *QUICK, "--quiet", "--out", str(out)]
    assert app.main([*asked, "--session", "whole"]) == 0
    for shard in ("1/2", "2/2"):
        assert app.main([*asked, "--shard", shard, "--session", "s"]) == 0
    assert [r["image"] for r in kept(out / "s-shard1of2")] == ["a", "c"]
    assert app.main(["merge", str(out), "--quiet"]) == 0
    assert numbers(kept(out / "s-merged")) == numbers(kept(out / "whole"))
    assert runs_of(out, GAZING)["s-merged"] == "FINISHED"
    assert len(measured(out, "a gaze", "gaze/acuity")) == len(measured(out, "a gaze-whole", "gaze/acuity")) == 2
    plan = json.loads((out / "s-shard2of2" / "plan.json").read_text(encoding="utf-8"))
    assert (plan["own"], plan["experiment"]) == (["b"], GAZING)
    (out / "s-shard2of2" / records.FILE).unlink()
    assert app.main(["merge", str(out), "--quiet"]) == 3
    assert capsys.readouterr().err.splitlines() == ["merge: b (none) is missing"]


@pytest.mark.parametrize("job", ["gaze", "focus"])
def test_workers_of_a_cluster_find_what_one_process_finds(job, photos, stacks, out, monkeypatch):
    """Files lie where they would have lain, whatever folder the worker drew them into."""
    monkeypatch.setattr(ray_crew, "import_ray", FakeRay)
    for name in (
        "use_threads",
        "flush_denormals",
        "keep_memory",
    ):  # of a process of the worker's own, which this is not
        monkeypatch.setattr(ray_worker, name, lambda *arguments: None)
    places = ["--save", str(out / "maps")] if job == "gaze" else []
    asked = [str(photos / "a.png"), str(photos / "b.png"), *QUICK, *places]
    if job == "focus":
        asked = [str(stacks / "one"), str(stacks / "two"), "--looks", "2", "--no-animation"]

    def play(name, *more):
        assert app.main([job, *asked, "--quiet", "--out", str(out), "--session", name, *more]) == 0
        found = kept(out / name)
        files = [Path(path) for record in found for path in record["files"].values()]
        assert files
        assert all(path.is_file() for path in files)
        assert [record.pop("files").keys() for record in found] == [{"figure", "json"}] * len(found)
        files += sorted((out / "maps").glob("*"))
        return numbers(found), {str(path).replace(f"/{name}/", "/"): path.read_bytes() for path in files}

    alone, files = play("alone")
    for path in [*out.glob("*.png"), *out.glob("*.json"), *out.glob("maps/*")]:
        path.unlink()
    crew, theirs = play("crew", "--engine", "ray")
    assert crew == alone
    assert theirs.keys() == files.keys()
    assert {path: theirs[path] for path in files if path.endswith(".png")} == {
        path: content for path, content in files.items() if path.endswith(".png")
    }


@pytest.mark.parametrize("more", [["--workers", "2"], ["--shard", "1/2"], ["--engine", "ray"]])
@pytest.mark.parametrize("job", [["gaze", "--people", "x"], ["focus", "--exam", "x"]])
def test_a_table_is_made_by_one_process(job, more, capsys):
    assert app.main([*job, *more]) == 2
    assert "--workers, --engine and --shard are of" in capsys.readouterr().err
