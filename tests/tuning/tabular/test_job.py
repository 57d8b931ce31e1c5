"""``python -m ciliary.tuning.tabular``: a table out, and one line for what is wrong."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest

from ciliary.tuning.tabular import settings as asked
from ciliary.tuning.tabular.__main__ import main
from ciliary_tests.toys import table_of


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    made = table_of(rng.random((4, 9)), u=rng.uniform(-1, 1, (9, 2)), term_dissent=rng.random((4, 9)))
    made = replace(made, meta={"folds": {name: i % 2 for i, name in enumerate(made.images)}})
    return str(made.save(tmp_path / "table.npz"))


def test_samplers_on_a_table(table, tmp_path, capsys):
    pytest.importorskip("optunahub")
    from ciliary.tuning.tabular.search import SAMPLERS

    assert tuple(SAMPLERS) == asked.SAMPLERS
    out = tmp_path / "page.md"
    assert main(["--table", table, "--samplers", "random,cmaes", "--budgets", "2,100", "--out", str(out)]) == 0
    page, said = capsys.readouterr()
    assert page.strip() == out.read_text(encoding="utf-8").strip()
    assert said == ""
    rows = {row["choice"]: row for row in csv.DictReader(out.with_suffix(".csv").open(encoding="utf-8"))}
    assert list(rows) == [
        "random setting", "default", "best fixed", "random, 2 trials", "random, 100 trials", "cmaes, 2 trials",
        "cmaes, 100 trials", "all settings, dissent", "oracle",
    ]  # fmt: skip
    assert rows["random, 100 trials"]["loss"] == rows["all settings, dissent"]["loss"]  # all there is was tried
    assert float(rows["oracle"]["gap_closed"]) == 1


def test_wrong_usage_is_one_line(table, capsys):
    for argv, said in (
        (["--samplers", "nobody"], "choose from random, tpe, cmaes, gp"),
        (["--table", table, "--objective", "score.covering"], "label-free"),
        (["--table", table + "x"], "table.npzx"),
        (["--nothing"], "--nothing"),
    ):
        assert main([*argv, "--quiet"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("tabular: ")
        assert said in line


def test_without_optunahub_the_extra_is_named(table, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optunahub.benchmarks", None)
    for name in ("problem", "search"):
        monkeypatch.delitem(sys.modules, f"ciliary.tuning.tabular.{name}", raising=False)
    assert main(["--table", table, "--quiet"]) == 1
    assert "pip install 'ciliary[optuna]'" in capsys.readouterr().err


def test_its_page_of_help(capsys):
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("Usage: python -m ciliary.tuning.tabular")
    for name in ("--table", "--samplers", "--budgets", "--seeds", "--objective", "--out"):
        assert name in page
