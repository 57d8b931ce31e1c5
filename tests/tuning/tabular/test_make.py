"""How the table that ships is made, and what it is."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
import yaml

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.disturbances import MIXED_V0
from ciliary.tuning.evaluation.table import Case, ResponseTable
from ciliary.tuning.tabular.benchmark import REGISTRY, SHIPPED, Benchmark
from ciliary.tuning.tabular.make import (
    MOVED,
    N_DISTURBED,
    N_FOLDS,
    N_SETTINGS,
    WithDissent,
    box_settings,
    folds_of,
    rounded,
    save_small,
)
from ciliary_tests.toys import table_of


@pytest.fixture(scope="module")
def shipped():
    return Benchmark.load()


def test_settings_fill_the_box_and_nothing_else():
    u = box_settings(8, {"blur_sigma_px": (-0.5, 0.0), "n_regions": (0.2, 1.0)})
    default = PARAMETERS.default_unit(1)[0].numpy()
    np.testing.assert_array_equal(u[0], default)
    blur, regions = (PARAMETERS.names.index(name) for name in ("blur_sigma_px", "n_regions"))
    assert set(np.flatnonzero(np.ptp(u, 0))) == {blur, regions}
    assert -0.5 <= u[1:, blur].min() < -0.3 < -0.2 < u[1:, blur].max() <= 0
    assert 0.2 <= u[1:, regions].min() < 0.5 < 0.8 < u[1:, regions].max() <= 1


def test_dissent_leaves_oneself_out():
    agreement = {"agreement.00": [1.0, 0.4, 0.2], "agreement.01": [0.6, 1.0, 0.2], "agreement.02": [0.2, 0.4, 1.0]}
    covered = {"covered.00": [1.0, 0.6, 0.4], "covered.01": [0.4, 1.0, 0.4], "covered.02": [0.4, 0.6, 1.0]}
    columns = {k: np.array(v) for k, v in {**agreement, **covered, "term.total": [0.1, 0.2, 0.3]}.items()}
    found = WithDissent(lambda item, case, u: columns)(None, Case("a"), np.zeros((3, 1)))
    # (.6 + .4) / 2 and (.2 + .4) / 2 of setting 0, and so on
    np.testing.assert_allclose(found["term.dissent"], [1 - (0.5 + 0.3) / 2, 1 - (0.5 + 0.5) / 2, 1 - (0.3 + 0.3) / 2])
    np.testing.assert_allclose(found["term.joint"], (found["term.dissent"] + [0.1, 0.2, 0.3]) / 2)
    assert set(found) == {"term.dissent", "term.joint", "term.total"}


def test_numbers_keep_five_digits_in_less_room(tmp_path):
    values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    np.testing.assert_allclose(rounded(values), values, rtol=2**-15)
    odd = np.float32([0, np.nan, np.inf, -np.inf, -0.0])
    np.testing.assert_array_equal(rounded(odd), odd)
    table = table_of(values)
    small = save_small(table, tmp_path / "small.npz")
    assert small.stat().st_size < 0.8 * table.save(tmp_path / "whole.npz").stat().st_size
    np.testing.assert_array_equal(ResponseTable.load(small).column("score.covering"), rounded(values))


def test_folds_are_dealt_out_by_name():
    assert folds_of(["c", "a", "b"], 2) == {"a": 0, "b": 1, "c": 0}


def test_what_ships(shipped):
    table = shipped.table
    images = set(table.images)
    assert table.n_settings == N_SETTINGS
    assert table.parameters == PARAMETERS.names
    assert shipped.instance(0).names == tuple(n for n in PARAMETERS.names if n in MOVED)
    assert len(table.cases) == len(images) + N_DISTURBED
    kinds = Counter(case.disturbance for case in table.cases if case.disturbance != "none")
    assert set(kinds) == {f"{kind}:3" for kind in MIXED_V0}
    assert len(set(kinds.values())) == 1
    sizes = np.bincount(list(shipped.folds.values()))
    assert len(sizes) == N_FOLDS
    assert np.ptp(sizes) <= 1
    assert set(shipped.folds) == images
    for name in table.names():
        assert np.isfinite(table.column(name)).all(), name
    for name in ("score.covering", "score.pri", "term.dissent", "term.joint"):
        assert 0 <= table.column(name).min() < table.column(name).max() <= 1
    np.testing.assert_allclose(
        table.column("term.joint"), (table.column("term.dissent") + table.column("term.total")) / 2, atol=1e-4
    )
    path = REGISTRY.parent / "data" / SHIPPED
    assert path.stat().st_size < 1_000_000
    assert not re.search(rb"/(home|work|tmp|root)/", path.read_bytes())


def test_the_registrys_page_has_what_it_asks_for():
    folder = REGISTRY / "benchmarks" / "ciliary_response_table"
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    about = yaml.safe_load(head)
    assert {"author", "title", "description", "tags", "optuna_versions", "license"} == set(about)
    assert all(isinstance(one, str) for one in [*about["tags"], *about["optuna_versions"]])
    assert about["license"] == "MIT License"
    for title in ("## Abstract", "## APIs", "## Example"):
        assert title in body
    assert {"__init__.py", "LICENSE", "README.md", "example.py"} <= {path.name for path in folder.iterdir()}
