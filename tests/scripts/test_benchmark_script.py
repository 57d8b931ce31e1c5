"""The benchmark's door: table, record, comparison, exit codes."""

import json

import pytest

from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "benchmark.py"
TIMING = {"median_ms": 12.34, "q25_ms": 11.0, "q75_ms": 14.0}


@pytest.fixture
def asked(monkeypatch):
    """Replace the measurement; keep what was asked for."""
    seen = []

    def measured(settings, **_):
        seen.append(settings)
        rows = [
            {
                "size_px": [round(size * 2 / 3), size],
                "population": population,
                "candidate": dict(TIMING),
                "stages": {"m1": dict(TIMING), "rest": dict(TIMING)},
                "look": dict(TIMING),
            }
            for size in settings.sizes_px
            for population in settings.populations
        ]
        machine = {"processor": "abacus", "n_threads": settings.n_threads, "load_average_1min": 0.0}
        machine |= {"n_cores": 2}
        return {
            "rows": rows,
            "growth": {"1": float("nan"), "16": 1.04},
            "hardware": machine,
            "measured": [],
            "versions": {},
            "when": "2026-01-01",
            "settings": {},
            "missing": {"ap_gym": "not installed"},
        }

    monkeypatch.setattr("ciliary.tuning.benchmarks.speed_job.run_benchmark", measured)
    return seen


def test_table_and_record(script, asked, tmp_path, capsys):
    out = tmp_path / "b.json"
    assert script.main(["--sizes", "96", "192", "--repeats", "3", "--out", str(out)]) == 0
    assert asked[0].sizes_px == (96, 192)
    assert asked[0].populations == (1, 16)
    assert asked[0].n_repeats == 3
    text = capsys.readouterr().out
    for expected in ("192x128", "12.3 (11.0–14.0)", "m1", "pixels^1.04", "abacus, 2 threads", str(out)):
        assert expected in text
    assert "not measured: ap_gym: not installed" in text
    assert "nan" not in text
    assert "# What it costs" in out.with_suffix(".md").read_text()
    assert len(json.loads(out.read_text())["rows"]) == 4


def test_compare_tells_by_its_exit_code(script, asked, tmp_path, capsys):
    out = tmp_path / "b.json"
    script.main(["--out", str(out)])
    assert script.main(["--out", str(out), "--compare", str(out)]) == 0  # against itself, overwriting it
    old = json.loads(out.read_text())
    old["rows"][0]["stages"]["m1"]["median_ms"] = 5.0
    (tmp_path / "old.json").write_text(json.dumps(old))
    capsys.readouterr()
    assert script.main(["--out", str(out), "--compare", str(tmp_path / "old.json")]) == 1
    assert "slower: 96x64, population 1, m1: 5.0 -> 12.3 ms" in capsys.readouterr().out


def test_wrong_usage_is_one_clear_line(script, asked, tmp_path, capsys):
    assert script.main(["--sizes", "8", "--out", str(tmp_path / "b.json")]) == 2
    assert script.main(["--compare", str(tmp_path / "missing.json")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "sizes_px (--sizes) must be at least 24, got 8" in lines[0]
    assert "missing.json" in lines[1]
