"""The files of numbers that come with Ciliary: there, readable, and as they were packed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np

from ciliary.cortex.installing import NAME, editable_sources
from ciliary.tuning.doctor.finding import Finding, Level
from ciliary.tuning.doctor.places import in_words
from ciliary.tuning.doctor.settings import DoctorSettings
from ciliary.tuning.runs.fingerprints import ROOT

#: File in its room -> who needs it. A file that is not named here is read all the same.
NEEDED_BY: Mapping[str, str] = {
    "agents/weights/eye.safetensors": "--controller of an eye",
    "agents/weights/policy_raw.safetensors": "--controller policy, hybrid",
    "agents/weights/reflex.json": "--controller homeostat",
    "cortex/dorsal/weights/expectation.safetensors": "ciliary gaze",
    "cortex/dorsal/weights/gaze.json": "ciliary gaze --map learned",
    "cortex/weights/cortex.safetensors": "--learned",
    "cortex/weights/depth.safetensors": "--depth learned",
    "cortex/weights/filters.safetensors": "M1 grown",
    "cortex/weights/inherited_all.safetensors": "--inherited all",
    "cortex/weights/inherited_contours.safetensors": "--inherited contours, the default",
    "cortex/weights/trunk_efficientnet_lite0.safetensors": "--inherited all",
    "envs/objective/calibration.npz": "--objective calibrated",
    "envs/objective/calibration_all.npz": "--objective calibrated",
    "envs/objective/calibration_contours.npz": "--objective calibrated",
}
PLACES = ("*/weights/*", "*/*/weights/*", "envs/objective/*.npz", "envs/objective/looks/*.json")
ROOMS = ("cortex", "envs", "agents", "tuning")


def weights(settings: DoctorSettings) -> Iterator[Finding]:
    """Each file; one line for all that are well, and one for each that is not."""
    del settings
    packed = _packed()
    names = sorted({*NEEDED_BY, *_found(ROOT)})
    marks: dict[str, str] = {}
    n_bytes = 0
    for name in names:
        path = ROOT / name
        values = {"file": name, "needed_by": NEEDED_BY.get(name, "")}
        problem = trouble(path, packed.get(name, ""))
        if problem:
            for_whom = f" ({NEEDED_BY[name]})" if name in NEEDED_BY else ""
            do = "install Ciliary again; of sources: git checkout -- " + name
            yield Finding("weights", f"{name}: {problem}{for_whom}", Level.BROKEN, do, values)
            continue
        marks[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        n_bytes += path.stat().st_size
    words = f"{len(marks)} files, {in_words(n_bytes)}, " + ("as they were packed" if packed else "readable")
    yield Finding("weights", words, values={"sha256_16": marks, "bytes": n_bytes})


def trouble(path: Path, packed: str = "") -> str:
    """What is wrong with a file, in words; nothing where it can be read and is as it was packed.

    Args:
        path: a file of safetensors, of NumPy's arrays, or JSON.
        packed: SHA-256 in hex as the wheel has it; not compared when empty.
    """
    if not path.is_file():
        return "is not there"
    read = _READERS.get(path.suffix)
    try:
        if read is not None:
            read(path)
    except Exception as error:  # noqa: BLE001 -- each format has errors of its own
        return f"cannot be read: {type(error).__name__}: {' '.join(str(error).split())}"
    if packed and hashlib.sha256(path.read_bytes()).hexdigest() != packed:
        return "is another than was packed"
    return ""


def _read_safetensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(str(path), "numpy") as file:  # the header's places are compared with the file's length
        if not list(file.keys()):
            raise ValueError("there is nothing in it")


def _read_arrays(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            file[name]


def _read_json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


_READERS: Mapping[str, Callable[[Path], None]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_arrays,
    ".json": _read_json,
}


def _found(root: Path) -> set[str]:
    paths = (
        path for room in ROOMS for place in PLACES for path in root.glob(place) if path.is_relative_to(root / room)
    )
    return {path.relative_to(root).as_posix() for path in paths if path.is_file()}


def _packed() -> dict[str, str]:
    """File -> SHA-256 in hex, as a wheel brought it; nothing where there was no wheel."""
    try:
        ours = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return {}
    if editable_sources(ours) is not None or Path(str(ours.locate_file(NAME))).resolve() != ROOT:
        return {}
    return {
        file.relative_to(NAME).as_posix(): base64.urlsafe_b64decode(file.hash.value + "=").hex()
        for file in ours.files or ()
        if file.hash is not None and file.hash.mode == "sha256" and file.parts[0] == NAME
    }
