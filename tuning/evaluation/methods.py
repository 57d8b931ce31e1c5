"""Methods of a contest by name: a controller, what it minimises, how often it may try, and where it starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents import registry
from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.search import SAMPLERS
from ciliary.agents.looking import Looking
from ciliary.agents.registry import CONTROLLERS, GONE, make_controller
from ciliary.cortex.loading import names_object, object_mark
from ciliary.cortex.options import CORTEX, inherited_by, is_of_looks
from ciliary.cortex.parameters import PARAMETERS, ParameterTable, table_for
from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.objective.calibration import load_calibration, shipped
from ciliary.envs.objective.make import UNCALIBRATED, make_objective, objective_mark
from ciliary.tuning.evaluation.selectors import CLEAN, DISTURBED, best_setting, kind_of
from ciliary.tuning.evaluation.settings import NO_CONTROLLERS, controller_of
from ciliary.tuning.evaluation.summary import BEST_FIXED, FIXED
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.sessions.playing import build_controller
from ciliary.tuning.sessions.settings import SessionSettings

DEFAULT_TRIALS = 64
SETTING, *BY_TABLE = NO_CONTROLLERS
FILES = {"policy": ("policy", (".safetensors", ".zip", ".json")), "memory": ("memories", (".npz",))}
"""What controllers learned on other images, by option: the field that takes the file, and how its name may end."""
WEIGHTS = Path(registry.__file__).with_name("weights")
_UNLEARNED = (FIXED, "normalise", "random", "gradient", "panel", "disagreement", *SAMPLERS)
_ONE_TRIAL = (FIXED, "normalise")
_TOLD_APART = ("label", "objective", "files", "options", "perceiver", "is_single")


@dataclass(frozen=True)
class Method:
    """One way to accommodate.

    Attributes:
        label: what it is called in results.
        controller: name in the registry.
        objective: ``raw``, ``recognition``, ``calibrated`` or the path of a calibration.
        n_trials: budget, the defaults included.
        use_guard: keep the defaults unless the gain is real.
        changes: physical values by name that replace defaults; a search starts from there.
        spread: how far from the defaults a search starts when it has no list to start from, as in a session.
        u: settings (P,) in [-1, 1] that replace the defaults, by pattern of disturbance (``*``, ``none``, ``fog:*``);
            the first that fits counts. With the controller ``fixed`` that is a fixed setting chosen elsewhere.
        files: what the controller learned before: a file for each option of :data:`FILES`.
        options: other fields of the controller, such as ``n_steps`` of a policy.
        perceiver: name of who sees; ``calibrated`` is by its calibration.
        is_single: of the objective ``looks``: the answer is the look that all agree with most, not all together.
    """

    label: str
    controller: str
    objective: str = "raw"
    n_trials: int = DEFAULT_TRIALS
    use_guard: bool = True
    spread: float | None = SessionSettings.spread
    changes: Mapping[str, float] | None = None
    u: Mapping[str, tuple[float, ...]] | None = None
    files: Mapping[str, str] | None = None
    options: Mapping[str, float] | None = None
    perceiver: str = CORTEX
    is_single: bool = False

    @property
    def looking(self) -> Looking | None:
        """How looks are put together, where that is the answer."""
        return Looking(is_single=self.is_single) if is_of_looks(self.objective) else None

    def build(self) -> ControllerBase:
        """Its controller, as a session would have it.

        Raises:
            ValueError: the controller does not take one of the options.
        """
        files = {FILES[name][0]: Path(path) for name, path in (self.files or {}).items()}
        controller: Any = build_controller(self.controller, spread=self.spread, policy=files.get("policy"))
        given = {**files, **(self.options or {})}
        built: ControllerBase = replace(controller, **given) if given else controller
        return built

    def default_u(self, disturbance: str, table: ParameterTable = PARAMETERS) -> np.ndarray:
        """Where it starts, and what it falls back to, (P,) float32, of a perceiver's table.

        Raises:
            KeyError: ``u`` has nothing for this disturbance.
        """
        if self.u is not None:
            for pattern, setting in self.u.items():
                if fnmatchcase(disturbance, pattern):
                    return np.array(setting, dtype=np.float32)
            raise KeyError(f"{self.label}: no setting for {disturbance!r}; there are {', '.join(self.u)}")
        return table.default_unit(1, **(self.changes or {}))[0].numpy()

    def describe(self) -> dict[str, Any]:
        """All that its results depend on (JSON types); calibration and what was learned by what is in the files."""
        about = {k: v for k, v in asdict(self).items() if k not in _TOLD_APART}
        about |= {} if self.looking is None else {"looking": asdict(self.looking)}
        about |= {"options": dict(self.options)} if self.options else {}
        if names_object(self.controller):  # edited, it is another one
            about["controller"] = object_mark(self.controller, what="controller")
        learned = {name: content_mark(Path(path)) for name, path in (self.files or {}).items()}
        if not learned and self.controller not in _UNLEARNED:
            learned = {"shipped": content_mark(WEIGHTS)} if WEIGHTS.is_dir() else {}
        about |= {"learned": learned} if learned else {}
        mark = objective_mark(self.objective, perceiver=self.perceiver)
        described: dict[str, Any] = json.loads(json.dumps({**about, "objective": mark}))
        return described


def parse_method(text: str, table: ParameterTable = PARAMETERS) -> Method:
    """Read ``controller[:objective[:trials]]`` and options after it, such as ``tpe:calibrated:64``.

    Options: ``no-guard``; ``NAME=VALUE`` for a changed default (``tpe:raw:16:no-guard:n_regions=6``) or a number of the
    controller's own (``policy:raw:4:n_steps=3``); ``policy=FILE`` and ``memory=FILE`` for what a controller learned on
    other images; ``label=TEXT``. ``setting:FILE.json`` is a fixed setting, see :func:`read_setting`. ``table`` is that
    of the perceiver that plays.

    Raises:
        ValueError: saying what is legal.
        FileNotFoundError: no such file.
    """
    name = controller_of(text)
    words = [word.strip() for word in text.strip()[len(name) + 1 :].split(":")] if text.strip() != name else []
    if name == SETTING:
        path = Path(":".join(words))
        return Method(f"setting {path.stem}", FIXED, n_trials=1, u=read_setting(path, table))
    if name in GONE:
        raise ValueError(f"{text!r}: {name} {GONE[name]}")
    if name not in CONTROLLERS and not names_object(name):
        known = ", ".join([*CONTROLLERS, f"{SETTING}:FILE.json"])
        raise ValueError(f"unknown method {text!r}; write CONTROLLER:OBJECTIVE:TRIALS with CONTROLLER from {known}")
    changes: dict[str, float] = {}
    files: dict[str, str] = {}
    options: dict[str, float] = {}
    shown = [name]  # results are read on other machines: files by name only
    label = ""
    method = Method(text.strip(), name, n_trials=1 if name in _ONE_TRIAL else DEFAULT_TRIALS)
    for i, word in enumerate(words):
        key, equals, value = word.partition("=")
        shown.append(f"{key}{equals}{Path(value).name}" if key in FILES else word)
        if word == "no-guard":
            method = replace(method, use_guard=False)
        elif word == "single":
            method = replace(method, is_single=True)
        elif key == "label" and value:
            label = value
        elif equals and key in FILES:
            files[key] = _learned(text, name, key, value)
        elif equals and key not in table and key in _numbers_of(name):
            options[key] = _number(text, key, value)
        elif equals:
            changes[key] = _legal(text, key, value, table)
        elif word.isdigit() and int(word) > 0:
            method = replace(method, n_trials=1 if name in _ONE_TRIAL else int(word))
        elif i == 0 and (word in (*UNCALIBRATED, "calibrated") or Path(word).is_file()):
            shown[-1] = Path(word).name
            method = replace(method, objective=word)
        else:
            raise ValueError(
                f"{text!r}: cannot read {word!r}; after the controller come the objective (raw, recognition, "
                "agreement, joint, looks, calibrated or a file that exists), the number of trials, no-guard, single, "
                "NAME=VALUE, policy=FILE, memory=FILE and label=TEXT"
            )
    method = replace(method, label=label or ":".join(shown), changes=changes or None)
    method = replace(method, files=files or None, options=options or None)
    try:
        method.build()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text!r}: {error}") from error
    return method


def make_methods(
    texts: Sequence[str] | None,
    train: ResponseTable | None,
    disturbances: Sequence[str],
    *,
    default: Sequence[str],
    seer: Perceiver | str = CORTEX,
) -> list[Method]:
    """The methods asked for, ``fixed`` first; where a training table is, the best fixed setting plays too.

    Args:
        texts: for :func:`parse_method`, or of :data:`BY_TABLE`; None for ``default``, as far as it can be played.
        train: response table of other images.
        disturbances: of the cases.
        default: texts.
        seer: who sees; of a cortex its name is enough.

    Raises:
        ValueError, FileNotFoundError: as :func:`parse_method`, a method that needs a table that is not there, or an
            objective that is not for this perceiver.
    """
    name, table = (seer, table_for(inherited_by(seer) or "none")) if isinstance(seer, str) else (seer.name, seer.table)
    if texts is None:
        texts = tuple(t for t in default if "calibrated" not in t or shipped(name))
    texts = (*((BY_TABLE[0],) if train is not None else ()), *texts)
    methods = [replace(parse_method(FIXED, table), perceiver=name)]
    for text in dict.fromkeys(texts):
        if text == FIXED:
            continue
        method = _by_table(text, train, disturbances, table) if text in BY_TABLE else parse_method(text, table)
        method = replace(method, perceiver=name)
        method.describe()  # reads the calibration's file: better missed now than in a worker
        if method.objective not in UNCALIBRATED:
            load_calibration(method.objective, perceiver=name).check(name)
        if not isinstance(seer, str):
            make_objective(method.objective, perceiver=name).check(seer)
        if method.label in {m.label for m in methods}:
            raise ValueError(f"two methods are called {method.label!r}; name each once")
        methods.append(method)
    return methods


def _by_table(text: str, train: ResponseTable | None, disturbances: Sequence[str], table: ParameterTable) -> Method:
    if train is None:
        raise ValueError(f"{text} is chosen on other images: give their response table with --train-table")
    settings = train.settings_for(table)
    best = tuple(map(float, settings[best_setting(train, train, CLEAN)]))
    if text == BY_TABLE[0]:
        return Method(BEST_FIXED, FIXED, n_trials=1, u={"*": best})
    u = {CLEAN: best}
    for name in disturbances:
        if name != CLEAN:
            kind = kind_of(name)  # whatever its severity: there are too few cases of each
            known = kind if len(train.rows(disturbance=kind)) else DISTURBED
            u[name] = tuple(map(float, settings[best_setting(train, train, known)]))
    return Method("refit fixed", FIXED, n_trials=1, u=u)


def content_mark(path: Path) -> str:
    """16 hex digits of a file's content, or of all files in a folder and their names.

    Raises:
        FileNotFoundError: neither is there.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix != ".pyc")
    elif path.is_file():
        files = [path]
    else:
        raise FileNotFoundError(f"no file or folder at {path}")
    digest = hashlib.sha256()
    for file in files:
        digest.update(b"" if file == path else f"{file.relative_to(path).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def read_setting(path: Path, table: ParameterTable = PARAMETERS) -> dict[str, tuple[float, ...]]:
    """Pattern of disturbance -> setting (P,) in [-1, 1]; parameters that the file leaves out keep their defaults.

    The file holds ``{"u": {PATTERN: {NAME: value in [-1, 1]}}}`` or, in physical units, ``{"theta": {PATTERN: {NAME:
    value}}}``.

    Raises:
        FileNotFoundError, ValueError: naming the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no setting at {path}; write setting:FILE.json with a file that exists")
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
        default = dict(zip(table.names, table.default_unit()[0].tolist(), strict=True))
        found = {}
        for pattern, values in page.get("theta", {}).items():
            found[pattern] = tuple(table.default_unit(1, **values)[0].tolist())
        for pattern, values in page.get("u", {}).items():
            table.check_names(values)
            found[pattern] = tuple({**default, **{name: float(value) for name, value in values.items()}}.values())
        if not found or any(abs(value) > 1 + 1e-6 for u in found.values() for value in u):
            raise ValueError("expected one or more settings with all u in [-1, 1]")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no setting ({error})") from error
    return found


def _learned(text: str, controller: str, key: str, value: str) -> str:
    name, endings = FILES[key]
    if name not in {field.name for field in fields(make_controller(controller))}:  # type: ignore[arg-type]
        raise ValueError(f"{text!r}: {controller} does not take {key}=; it learned nothing that a file could hold")
    if Path(value).suffix not in endings:
        raise ValueError(f"{text!r}: expected {key}=FILE with FILE ending in {' or '.join(endings)}, got {value!r}")
    if not Path(value).is_file():
        raise FileNotFoundError(f"{text!r}: no {key} at {value}")
    return value


def _numbers_of(controller: str) -> set[str]:
    """Fields of a controller that a number may be given for."""
    one: Any = make_controller(controller)
    return {f.name for f in fields(one) if "int" in str(f.type) or "float" in str(f.type)}


def _number(text: str, name: str, value: str) -> float:
    try:
        return int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        raise ValueError(f"{text!r}: {name} needs a number, got {value!r}") from None


def _legal(text: str, name: str, value: str, table: ParameterTable) -> float:
    if name not in table:
        raise ValueError(f"{text!r}: no parameter {name!r}; choose from {', '.join(table.names)}")
    try:
        return table.check_value(name, _number(text, name, value))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
