from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest

from ciliary.cortex.parameters import COLUMNS_V0, PARAMETERS
from ciliary.tuning.evaluation.case_cache import fingerprint, read_shard, shard_path
from ciliary.tuning.evaluation.table import Case, ResponseTable, compute_table
from ciliary_tests.toys import ToyData, ToyMeasure, interrupt, table_of

U = np.array([[0.0, 0.5], [1.0, -0.5], [3.0, 0.0]], np.float32)
CASES = [Case("i2"), Case("i0", "fog:3"), Case("i1", "none", 1)]
# |u - value| + 1 if disturbed + seed, by hand
DISTANCE = np.array([[2, 1, 1], [1, 2, 4], [2, 1, 3]], np.float32)


@pytest.fixture
def measure(tmp_path) -> ToyMeasure:
    return ToyMeasure(tmp_path / "log")


def run(folder, measure, *, cases=CASES, u=U, data=None, **options):
    return compute_table(folder, data or ToyData(3), cases, u, measure, progress=False, **options)


def test_the_table_by_hand(tmp_path, measure):
    table = run(tmp_path / "t", measure, meta={"size_px": 8})
    assert table.cases == tuple(CASES)
    assert table.names() == ["score.closeness", "term.distance"]
    np.testing.assert_array_equal(table.column("term.distance"), DISTANCE)
    np.testing.assert_array_equal(table.column("score.closeness"), -DISTANCE)
    np.testing.assert_array_equal(table.u, U)
    assert table.meta["size_px"] == 8
    assert table.meta["fingerprint"] == fingerprint(U, {"size_px": 8})
    assert table.meta["failed"] == []
    assert table.meta["seconds"] >= 0


@pytest.mark.slow
def test_workers_give_the_same_table_and_skip_what_raises(tmp_path):
    measure = ToyMeasure(tmp_path / "log", bad="i0")
    with pytest.warns(RuntimeWarning, match=r"1 of 3 cases .* i0 fog:3 seed 0: ArithmeticError: no such luck \(toys"):
        table = run(tmp_path / "t", measure, n_workers=2)
    assert table.cases == (CASES[0], CASES[2])
    np.testing.assert_array_equal(table.column("term.distance"), DISTANCE[[0, 2]])
    pids, threads = zip(*[(pid, n) for _, _, pid, n in measure.calls()], strict=True)
    assert str(os.getpid()) not in pids
    assert set(threads) == {"1"}
    assert not multiprocessing.active_children()


def test_a_list_of_images_is_data_too(tmp_path, measure):
    table = run(tmp_path / "t", measure, data=list(ToyData(3)))
    np.testing.assert_array_equal(table.column("term.distance"), DISTANCE)


def test_what_is_measured_is_not_measured_again(tmp_path, measure):
    run(tmp_path / "t", measure, cases=CASES[:2])
    before = measure.calls()
    table = run(tmp_path / "t", measure)
    assert [call[0] for call in measure.calls()[len(before) :]] == ["i1"]
    np.testing.assert_array_equal(table.column("term.distance"), DISTANCE)


def test_a_damaged_shard_is_measured_again(tmp_path, measure):
    run(tmp_path / "t", measure)
    path = shard_path(tmp_path / "t" / "shards", CASES[1])
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(run(tmp_path / "t", measure).column("term.distance"), DISTANCE)
    assert len(measure.calls()) == 4


@pytest.mark.parametrize(
    ("u", "meta", "named"), [(U + 1e-3, {"size_px": 8}, "another u"), (U, {"size_px": 9}, "another size_px")]
)
def test_a_folder_of_another_table_is_refused(tmp_path, measure, u, meta, named):
    run(tmp_path / "t", measure, meta={"size_px": 8})
    with pytest.raises(ValueError, match=f"{named}.*another folder"):
        run(tmp_path / "t", measure, u=u, meta=meta)


def test_a_shard_of_another_table_is_not_read(tmp_path, measure):
    run(tmp_path / "t", measure)
    assert read_shard(tmp_path / "t" / "shards", CASES[0], mark=fingerprint(U, {})) is not None
    assert read_shard(tmp_path / "t" / "shards", CASES[0], mark=fingerprint(U + 1, {})) is None


def test_a_case_that_raises_is_named_skipped_and_tried_again(tmp_path):
    measure = ToyMeasure(tmp_path / "log", bad="i0")
    with pytest.warns(RuntimeWarning, match=r"1 of 3 cases .* i0 fog:3 seed 0: .*no such luck"):
        table = run(tmp_path / "t", measure)
    assert table.cases == (CASES[0], CASES[2])
    np.testing.assert_array_equal(table.column("term.distance"), DISTANCE[[0, 2]])
    assert "no such luck" in table.meta["failed"][0]
    np.testing.assert_array_equal(run(tmp_path / "t", ToyMeasure(tmp_path / "log")).column("term.distance"), DISTANCE)


def test_no_case_at_all_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="1 of 1 cases"):
        run(tmp_path / "t", ToyMeasure(tmp_path / "log", bad="i0"), cases=[CASES[1]])


@pytest.mark.slow
def test_a_worker_that_dies_is_reported(tmp_path):
    with pytest.raises(RuntimeError, match="a worker died"):
        run(tmp_path / "t", ToyMeasure(tmp_path / "log", bad="i0", is_fatal=True), n_workers=2)
    assert not multiprocessing.active_children()


def test_an_interrupt_leaves_whole_shards_only(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "t", interrupt, cases=[Case("i0"), Case("i1")])
    shards = tmp_path / "t" / "shards"
    assert list(shards.iterdir()) == [shard_path(shards, Case("i0"))]
    run(tmp_path / "t", interrupt, cases=[Case("i0")])  # the folder is not locked any more


@pytest.mark.parametrize("cases", [[], [Case("i9")], [Case("i0"), Case("i0")]])
def test_cases_are_checked(tmp_path, measure, cases):
    with pytest.raises(ValueError, match="expected different cases"):
        run(tmp_path / "t", measure, cases=cases)


def test_columns_are_checked(tmp_path):
    with pytest.raises(RuntimeError, match=r"columns of shape \(3,\)"):
        run(tmp_path / "t", lambda item, case, u: {"term.x": np.zeros(2)})


def test_shards_of_different_columns_do_not_join(tmp_path):
    with pytest.raises(ValueError, match=r"differ in columns \['term.i0', 'term.i2'\]"):
        run(tmp_path / "t", lambda item, case, u: {f"term.{case.image}": np.zeros(3)}, cases=CASES[:2])


def test_names_that_look_alike_have_files_of_their_own(tmp_path):
    alike = [Case("a/b"), Case("a_b"), Case("a", "b"), Case("x" * 300), Case("x" * 301)]
    assert len({shard_path(tmp_path, case).name for case in alike}) == len(alike)
    assert all(len(shard_path(tmp_path, case).name) < 120 for case in alike)


def test_settings_are_stored_by_name(tmp_path):
    names = ("n_regions", "long_gone", "blur_sigma_px")
    u = np.float32([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    table = replace(table_of([[1, 2]], u=u), parameters=names)
    again = ResponseTable.load(table.save(tmp_path / "t.npz"))
    assert again.parameters == names
    found = again.settings_for(PARAMETERS)
    want = PARAMETERS.default_unit(2).numpy()
    want[:, PARAMETERS.names.index("n_regions")] = u[:, 0]
    want[:, PARAMETERS.names.index("blur_sigma_px")] = u[:, 2]
    np.testing.assert_allclose(found, want, atol=1e-6)  # what is no more is dropped, what was not yet has its default
    old = table_of([[1, 2]], u=np.zeros((2, len(COLUMNS_V0))))  # version 0.1 had no names
    assert ResponseTable.load(old.save(tmp_path / "old.npz")).parameters == COLUMNS_V0
    with pytest.raises(ValueError, match="names of parameters"):
        replace(table, parameters=names[:2])


def test_an_image_whose_files_changed_is_measured_again(tmp_path, measure):
    for digests in ({"i0": "a", "i1": "b"}, {"i0": "a", "i1": "c"}, {"i0": "a", "i1": "c"}):
        run(tmp_path / "t", measure, cases=[Case("i0"), Case("i1")], digests=digests)
    assert [call[0] for call in measure.calls()] == ["i0", "i1", "i1"]


def test_save_and_load(tmp_path):
    cases = [Case("å", "fog:3", 2), Case("b")]
    table = table_of([[1, 2, 3], [4, 5, 6]], cases=cases, term_x=[[0, np.nan, 1], [np.inf, 0, 0]])
    table.meta.update(size_px=[8, 9], none=None)
    again = ResponseTable.load(table.save(tmp_path / "t.npz"))
    assert again.cases == table.cases
    assert again.meta == table.meta
    assert again.names() == table.names()
    np.testing.assert_array_equal(again.u, table.u)
    for name in table.names():
        np.testing.assert_array_equal(again.column(name), table.column(name))


def test_another_file_is_not_a_table(tmp_path):
    np.savez(tmp_path / "x.npz", y=np.zeros(3))
    (tmp_path / "y.npz").write_bytes(b"no archive")
    for name in ("x.npz", "y.npz"):
        with pytest.raises(ValueError, match="not a response table"):
            ResponseTable.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        ResponseTable.load(tmp_path / "z.npz")


@pytest.mark.parametrize(
    ("disturbance", "rows"),
    [
        ("none", [0]),
        ("fog:3", [1]),
        ("fog:*", [1, 2]),
        ("*:3", [1, 3]),
        ("*:*", [1, 2, 3]),
        (["none", "dark:3"], [0, 3]),
    ],
)
def test_where(disturbance, rows):
    cases = [Case("a"), Case("a", "fog:3"), Case("b", "fog:5"), Case("b", "dark:3")]
    table = table_of(np.arange(8).reshape(4, 2), cases=cases)
    part = table.where(disturbance=disturbance)
    assert part.cases == tuple(cases[i] for i in rows)
    np.testing.assert_array_equal(part.column("score.covering"), table.column("score.covering")[rows])
    assert set(table.where(images=["b"]).images) == {"b"}
    with pytest.raises(ValueError, match="no case"):
        table.where(disturbance="rain:1")


def test_columns_and_shapes():
    table = table_of([[1, 2, 3]])
    assert table.with_columns({"loss": np.zeros((1, 3))}).names() == ["loss", "score.covering"]
    with pytest.raises(KeyError, match=r"there are score\.covering"):
        table.column("score.x")
    with pytest.raises(ValueError, match="expected u"):
        table.with_columns({"loss": np.zeros((2, 3))})
