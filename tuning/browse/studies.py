"""Episodes as Optuna studies, made of what a session wrote down: no storage need have been asked for beforehand.

Searches keep their studies in memory; the record of an episode has every trial's setting and terms all the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import optuna
from optuna.artifacts import upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState, create_trial

from ciliary.cortex.glance import GLANCES
from ciliary.cortex.options import CORTEX
from ciliary.cortex.options import GLANCES as GLANCES_NAME
from ciliary.cortex.parameters import PARAMETERS
from ciliary.cortex.segmenters import SEGMENTERS
from ciliary.cortex.table import Parameter, ParameterTable
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.tables import pairs_to_markdown
from ciliary.tuning.sessions.study_cache import quiet_optuna

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_NOT_TERMS = ("u", "best_so_far", "total")
LOOKED = (
    "Nothing was searched: these are looks that were put together. The value is how far a look and all looks disagree, "
    "known once all had looked; no look was chosen, and the order of the trials means nothing."
)


class FilesInPlace:
    """An artifact store of Optuna's that copies nothing: what is uploaded is read where it lies."""

    def __init__(self) -> None:
        self._places: dict[str, Path] = {}

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Remember where an open file lies."""
        self._places[artifact_id] = Path(content_body.name)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file.

        Raises:
            ArtifactNotFound: there is none, or it is gone.
        """
        try:
            return self._places[artifact_id].open("rb")
        except (KeyError, OSError) as error:
            raise ArtifactNotFound(artifact_id) from error

    def remove(self, artifact_id: str) -> None:
        """Forget it; the file stays."""
        self._places.pop(artifact_id, None)


def add_studies(
    storage: BaseStorage, episodes: Iterable[Mapping[str, Any]], *, pictures: FilesInPlace | None = None
) -> list[str]:
    """A study for each record, with a trial for each setting; returns their names.

    Parameters are physical, as in the table of parameters, and those that did nothing or never moved are left out. A
    trial's value is its total, its other terms are user attributes; one whose total is not finite has failed. What the
    episode came to is among the study's user attributes.

    Args:
        storage: empty, or without studies of these names.
        episodes: records of those that ended well, see :mod:`ciliary.tuning.runs.record`.
        pictures: where the episodes' figures are shown from, if they are to be.
    """
    names: list[str] = []
    for record in episodes:
        name = _free_name(_called(record), names)
        with quiet_optuna(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # names of metrics are, since 3.2
            study = optuna.create_study(storage=storage, study_name=name)
            study.set_metric_names(["disagreement" if _is_looks(record) else f"loss: {_objective(record)}"])
            study.add_trials(_trials(record))
        for key, value in about(record).items():
            study.set_user_attr(key, value)
        figure = Path(str(record.get("files", {}).get("figure", "")))
        if pictures is not None and figure.is_file():
            upload_artifact(artifact_store=pictures, file_path=str(figure), study_or_trial=study)
        names.append(name)
    return names


def about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an episode came to, for people."""
    before, after, guard = record["before"], record["after"], record.get("guard") or {}
    said = {  # the page shows the first five
        "to know": LOOKED if _is_looks(record) else None,
        "loss before → after": _pair(before, after, "total"),
        "guard": guard.get("reason"),
        "stability before → after": _pair(before, after, "stability"),
        "consistency before → after": _pair(before, after, "consistency"),
        "image": record["image"],
        "disturbance": record["disturbance"],
        "controller": record["controller"],
        "objective": _objective(record),
        "answer": record.get("answer"),
        "seed": record["seed"],
        "size_px": (record.get("seen_with") or {}).get("size_px"),
        "ending": record["ending"]["advice"],
        "evaluations": record.get("n_evaluations"),
        "seconds": None if record.get("seconds") is None else _six_digits(record["seconds"]),
    }
    return {key: value for key, value in said.items() if value is not None}


def table_of(record: Mapping[str, Any]) -> ParameterTable:
    """The parameters of whoever saw, as far as we know them; what we do not know stands as u in [-1, 1]."""
    _, _, inner = (perceiver := str((record.get("seen_with") or {}).get("perceiver", CORTEX))).rpartition(":")
    who = inner if perceiver.startswith(f"{GLANCES_NAME}:") else perceiver
    known: dict[str, Parameter] = {p.name: p for p in GLANCES}
    if who in SEGMENTERS:
        known |= {p.name: p for p in SEGMENTERS[who]().table}
    elif who == CORTEX or perceiver == GLANCES_NAME:
        known |= {p.name: p for p in PARAMETERS}
    names = tuple(record["parameters"])
    unknown = ParameterTable.generic(names)
    return ParameterTable(tuple(known.get(name, unknown[name]) for name in names))


def _trials(record: Mapping[str, Any]) -> list[optuna.trial.FrozenTrial]:
    history, table = record["history"], table_of(record)
    u = np.array(history["u"], np.float64)
    frozen = set(record.get("frozen", ()))
    moved = [p for p in table if p.name not in frozen and np.ptp(u[:, table.names.index(p.name)]) > 0]
    theta = table.by_name(u)
    distributions: dict[str, BaseDistribution] = {
        p.name: FloatDistribution(p.low, p.high, log=p.scale == "log") for p in moved
    }
    role = "agreed with most" if _is_looks(record) else "applied"
    trials = []
    for i, total in enumerate(history["total"]):
        is_whole = total is not None and math.isfinite(total)
        terms = {k: v[i] for k, v in history.items() if k not in _NOT_TERMS and v[i] is not None}
        own: dict[str, Any] = {k: _six_digits(value) for k, value in terms.items()}
        marks = {"defaults": i == 0, role: i == record.get("i_chosen")}
        own |= {"which": ", ".join(name for name, is_one in marks.items() if is_one)} if any(marks.values()) else {}
        trials.append(
            create_trial(
                state=TrialState.COMPLETE if is_whole else TrialState.FAIL,
                value=_six_digits(total) if is_whole else None,
                params={p.name: float(np.clip(_six_digits(theta[p.name][i]), p.low, p.high)) for p in moved},
                distributions=distributions,
                user_attrs=own,
            )
        )
    return trials


def note_of(record: Mapping[str, Any]) -> str:
    """The same as a note in Markdown, and what the record cannot tell."""
    rows = pairs_to_markdown(about(record))
    return (
        f"{rows}\nTimes of trials were not kept: those shown are when this page was opened. Made of "
        f"{records.FILE}; nothing "
        "is written back.\n"
    )


def _called(record: Mapping[str, Any]) -> str:
    disturbance = str(record["disturbance"]).replace("none", "undisturbed")
    seed = f", seed {record['seed']}" if record["seed"] else ""
    who = f"{len(record['history']['u'])} looks" if _is_looks(record) else record["controller"]
    return f"{record['image']}, {disturbance}, {who}{seed}"


def _is_looks(record: Mapping[str, Any]) -> bool:
    return record.get("answer") == "integrated"


def _objective(record: Mapping[str, Any]) -> str:
    """Its name, without the mark of what is in its file."""
    return str(record.get("objective") or "total").partition(" ")[0]


def _free_name(name: str, taken: Iterable[str]) -> str:
    known, found, n = set(taken), name, 2
    while found in known:
        found, n = f"{name} ({n})", n + 1
    return found


def _six_digits(value: float) -> float:
    """What is float32 read as float64 has digits that mean nothing."""
    return float(f"{float(value):.6g}")


def _pair(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> str | None:
    values = before.get(name), after.get(name)
    return None if None in values else " → ".join(f"{value:.4f}" for value in values)
