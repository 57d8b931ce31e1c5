"""Cases from short words, and their seeds."""

from __future__ import annotations

import pytest

from ciliary.envs import options
from ciliary.envs.data import disturbances
from ciliary.tuning.calibration.candidates import training_cases
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.cases import case_seed, make_cases, parse_disturbances


def test_disturbances_in_short():
    assert parse_disturbances("none, fog:3,all:1,5,mixed:2") == ["none", "fog:3", "all:1", "all:5", "mixed:2"]
    for text in ("rain:3", "all:9", "mixed", ""):
        with pytest.raises(ValueError):
            parse_disturbances(text)


def test_cases_of_all_and_of_mixed():
    names = [f"i{i}" for i in range(10)]
    assert len(make_cases(names, ["all:3"])) == 80
    mixed = make_cases(names, ["none", "mixed:3"])
    assert len(mixed) == 20
    kinds = ["gaussian_noise", "defocus_blur", "motion_blur", "low_light", "low_contrast", "fog", "colour_cast", "jpeg"]
    assert [case.disturbance for case in mixed[10:]] == [f"{kinds[i % 8]}:3" for i in range(10)]
    assert len(make_cases(names[:1], ["mixed:3", f"{kinds[0]}:3"])) == 1


def test_a_new_kind_changes_no_published_list(monkeypatch):
    names = [f"i{i}" for i in range(50)]
    before = make_cases(names, ["none", "mixed:3", "all:1"]), training_cases(names)
    old = dict(disturbances.DISTURBANCES)
    monkeypatch.setattr(disturbances, "DISTURBANCES", {"rain": old["fog"], **old})
    monkeypatch.setattr(options, "KINDS", ("rain", *old))
    assert (make_cases(names, ["none", "mixed:3", "all:1"]), training_cases(names)) == before
    assert make_cases(names[:1], parse_disturbances("rain:2"))[0].disturbance == "rain:2"  # asked for, it is there
    assert {case.disturbance for case in before[1][50:58]} == {f"{kind}:1" for kind in disturbances.MIXED_V0}


def test_seeds_depend_on_nothing_else_but_what_is_known():
    one, other = make_cases(["a", "b"], ["none"]), make_cases(["b"], ["fog:1", "none"])
    assert one[1] == other[1]
    assert case_seed("a", "none") != case_seed("a", "fog:1")
    assert make_cases(["a"], ["none"], known=[Case("a", "none", 5)])[0].seed == 5
