"""Merging holds the places of records, not the records: a million of them are tens of gigabytes."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace

import pytest
from rich.console import Console

from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.outage import Outage
from ciliary.tuning.runs.shortened import Shortened
from ciliary.tuning.sessions import display, gains, merge_job
from ciliary.tuning.sessions.gains import by_gain
from ciliary.tuning.sessions.merge import gather
from ciliary.tuning.sessions.merge_settings import MergeSettings

HISTORY_BYTES = 40_000
_ALONE = "CILIARY_TEST_ALONE"


def episode(name, before, after, *, seed=0, history=(), **changes):
    """A record as a shard writes it."""
    made = {"image": name, "fingerprint": f"print of {name}", "disturbance": "none", "controller": "panel"}
    made |= {"seed": seed, "settings": "abc", "path": f"/photographs/{name}.png", "n_trials": 6, "seconds": 1.5}
    made |= {"key": "|".join(str(value) for value in made.values()), "status": "FINISHED", "i_chosen": 2}
    sides = {"before": {"total": before, "stability": 0.25}, "after": {"total": after, "stability": None}}
    return made | sides | {"history": {"total": list(history)}, "files": {}} | changes


def write_shard(out, i, n, images, rows):
    folder = out / f"s-shard{i}of{n}"
    folder.mkdir(parents=True)
    plan = {"shard": f"{i}/{n}", "images": images, "own": images[i - 1 :: n], "disturbances": ["none"]}
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / records.FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / records.FILE


def write_shards(out, n):
    """Two shards of n long records together."""
    images = [f"p{i:04d}" for i in range(n)]
    history = ["5" * HISTORY_BYTES]  # quicker to read than so many numbers
    for i in (1, 2):
        write_shard(out, i, 2, images, (episode(name, 0.5, 0.25, history=history) for name in images[i - 1 :: 2]))
    return images


@pytest.fixture
def fake_store(monkeypatch):
    """A store that keeps nothing; what the session was closed with is appended to the list."""
    closed = []

    def open_session(store, named):
        close = lambda status, **about: closed.append((status, about))  # noqa: E731
        folder, forget = named.out / named.session_base, lambda *one, **more: None
        run = SimpleNamespace(tag=forget, keep=forget, keep_table=forget)
        return SimpleNamespace(name=named.session_base, folder=folder, done={}, close=close, store=store, run=run)

    client = SimpleNamespace(set_experiment_tag=lambda *one: None, list_artifacts=lambda *one: [])
    store = SimpleNamespace(command="see", experiment_id="1", outage=Outage(), client=client)
    monkeypatch.setattr(merge_job, "open_store", lambda out, **more: store)
    monkeypatch.setattr(merge_job, "open_session", open_session)
    monkeypatch.setattr(merge_job, "_track", lambda session, record: f"run of {record['image']}")
    return closed


def peak_of_merge(out, n):
    images = write_shards(out, n)
    merged = MergeSettings((str(out),), is_quiet=True)
    gc.collect()
    tracemalloc.start()
    try:
        outcome = merge_job.merge(gather([out]), merged, out=out)
        display.print_outcome(outcome, save=None, console=Console(quiet=True))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [record["image"] for record in records.stream(outcome.folder / records.FILE)] == images
    return peak


def test_memory_does_not_grow_with_histories(request, tmp_path, monkeypatch, fake_store):
    """A twentieth of a record's own bytes, where holding it took more than all of them.

    In a process of its own: there it came out the same to 4 kB, 87 times. In one that had run
    thousands of other tests it was 160 kB more, once: what they leave (caches that grow, threads) is counted, too.
    """
    if _ALONE not in os.environ:
        command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", request.node.nodeid]
        alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | {_ALONE: "1"}
        done = subprocess.run(
            command, cwd=request.config.rootpath, env=alone, capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return
    monkeypatch.setattr(display, "_MOST_ROWS", 10)
    monkeypatch.setattr(gains, "_MOST_RESAMPLED", 10)  # resampling takes room of its own, bounded: not the histories'
    few, many = 20, 80
    peak_of_merge(tmp_path / "first", few)  # what is imported and compiled once
    grown = peak_of_merge(tmp_path / "many", many) - peak_of_merge(tmp_path / "few", few)
    assert grown < (many - few) * HISTORY_BYTES / 20
    assert [status for status, _ in fake_store] == ["FINISHED"] * 3


def test_the_last_record_counts_and_torn_lines_are_passed_over(tmp_path, fake_store):
    rows = [episode("b", 0.5, 0.4), episode("a", 0.5, 0.3), episode("a", 0.5, 0.2, seed=1), episode("b", 0.5, 0.1)]
    file = write_shard(tmp_path, 1, 2, ["a", "b", "é"], rows)
    with file.open("ab") as lines:
        lines.write(b'{"key": "torn\xff\n\n' + json.dumps(episode("é", 0.5, 0.45), ensure_ascii=False).encode())
    failed = episode("b", 0.5, 0.0, status="FAILED")
    write_shard(tmp_path, 2, 2, ["a", "b", "é"], [episode("a", 0.5, 0.35), failed, episode("unplanned", 0.5, 0.5)])
    gathered = gather([tmp_path])
    found = [(record["image"], record["seed"], record["after"]["total"]) for record in gathered.records]
    assert found == [("unplanned", 0, 0.5), ("a", 0, 0.35), ("a", 1, 0.2), ("b", 0, 0.1), ("é", 0, 0.45)]
    assert len(gathered.records) == 5
    assert (gathered.missing, gathered.n_twice) == ([], 1)
    outcome = merge_job.merge(gathered, MergeSettings((str(tmp_path),), is_quiet=True), out=tmp_path)
    assert [*records.stream(outcome.folder / records.FILE)] == [*gathered.records]
    ((_, about),) = fake_store
    assert about["metrics"]["after/total"] == pytest.approx((0.5 + 0.35 + 0.2 + 0.1 + 0.45) / 5)
    best = "[b · undisturbed](#/experiments/1/runs/run of b?workflowType=machine_learning)"
    assert f"Gained most: {best}; least: [unplanned" in about["description"]


def test_a_file_written_anew_in_between_is_said(tmp_path):
    file = write_shard(tmp_path, 1, 1, ["a"], [episode("a", 0.5, 0.4)])
    gathered = gather([tmp_path])
    file.write_text("\n")
    with pytest.raises(ValueError, match="was changed while it was read"):
        list(gathered.records)


def test_shortened_records_are_those_without_their_history():
    rows = [episode(name, 0.5, after, history=[1.0] * 9) for name, after in (("é", 0.4), ("b", 0.1), ("c", 0.3))]
    short = Shortened()
    for row in rows:
        short.add(row)
    assert [*short] == [records.without_history(row) for row in rows]
    assert (len(short), short[-1]["image"], [row["image"] for row in short[1:]]) == (3, "c", ["b", "c"])
    assert [row["image"] for row in by_gain(short)] == ["b", "c", "é"]
    with pytest.raises(IndexError):
        short[3]


def test_a_long_table_comes_in_pieces_with_the_means_of_all(monkeypatch):
    rows = [episode(f"p{i}", 0.5, 0.1 * i) for i in range(5)]
    (whole,) = display.results_tables(rows)
    monkeypatch.setattr(display, "_MOST_ROWS", 2)
    pieces = [*display.results_tables(rows)]
    assert [piece.row_count for piece in pieces] == [2, 2, 2]
    cells = [[cell for piece in pieces for cell in piece.columns[i]._cells] for i in range(len(whole.columns))]
    assert cells == [column._cells for column in whole.columns]
    assert cells[2][-1] == "0.500\n0.200"
    assert cells[3][-1] == "0.250\n–"
