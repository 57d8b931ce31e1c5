"""What the table at the end tells: a column's meaning, why defaults were kept, how coarsely was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ciliary.tuning.sessions.display import print_outcome
from ciliary.tuning.sessions.outcome import CONTACTS


@dataclass
class Told:
    folder: Path
    records: list[dict[str, Any]]
    name: str = "s"
    command: str = "ciliary ui"
    problems: list[str] = field(default_factory=list)
    run_ids: dict[str, str] = field(default_factory=dict)
    n_before: int = 0
    is_stopped: bool = False


def episode(image="a", *, is_accepted=True, objective="looks 1", size=(100, 150), **after):
    terms = {"total": 0.4, "stability": 0.2}
    return {
        "image": image,
        "disturbance": "none",
        "controller": "panel",
        "answer": "integrated" if is_accepted else "best",
        "objective": objective,
        "seen_with": {"size_px": 48},
        "original_size": list(size),
        "before": terms,
        "after": terms | after,
        "n_trials": 6,
        "seconds": 1.0,
        "i_chosen": 0,
        "guard": {"is_accepted": is_accepted, "reason": f"gain 0.003 of {image}"},
        "files": {},
    }


@pytest.fixture
def told(tmp_path):
    def tell(*records, save=None) -> str:
        page = StringIO()
        print_outcome(Told(tmp_path, list(records)), save=save, console=Console(file=page, width=110))
        return page.getvalue()

    return tell


def test_columns_are_explained_and_only_those_that_are_there(told):
    text = told(episode(total=0.3))
    assert "lower is better:" in text
    assert "no proof of better regions" in text
    assert "in other light" in text
    assert "economy" not in text
    assert "looks" in text.split("lower is better")[0]
    plain = told(episode(objective="agreement 2"))
    assert "what is minimised" in plain
    assert "trials" in plain.split("lower is better")[0]


def test_why_defaults_were_kept_is_said(told):
    text = told(episode("kept", is_accepted=False), episode("left"))
    assert "defaults kept: kept: gain 0.003 of kept" in text
    assert "gain 0.003 of left" not in text
    assert "gain too small" in text
    assert "beyond noise" in text


def test_how_coarsely_was_seen_is_said_of_the_largest(told):
    text = told(episode(), episode("huge", size=(4800, 3000)))
    assert "seen at 48 px of the long side, maps of 4800 px enlarged 100 times" in text
    assert "enlarged" not in told(episode())


def test_what_to_look_at_first(told, tmp_path):
    assert "look first at" not in told(episode())
    (tmp_path / CONTACTS).write_bytes(b"")
    text = told(episode(), save=Path("maps"))
    assert f"look first at  {tmp_path / CONTACTS}" in text
    assert ".regions.png is to be looked at" in text
