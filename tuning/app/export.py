"""What can be taken home: settings as JSON, maps as ``--save`` writes them and as NPZ, and settings back again."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.cortex.integration.percept import IntegratedPercept
from ciliary.envs.data.opening import SOFTWARE
from ciliary.tuning.app.eye import Eye
from ciliary.tuning.app.state import State, seen
from ciliary.tuning.cli.command_line import command_of
from ciliary.tuning.cli.options import stored_values
from ciliary.tuning.runs.files import plan_stems, save_episode
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.record import plain
from ciliary.tuning.sessions.settings import SessionSettings

_FOLLOWS = ("answer", "controller", "objective")  # each from the others, where none of them was asked for


def settings_page(state: State, eye: Eye) -> dict[str, Any]:
    """The settings as JSON types: ``set`` has what differs from the table's defaults, ``parameters`` has all.

    ``command`` makes what is shown again.
    """
    return {
        "made_by": SOFTWARE,
        "image": state.scene.photograph.name,
        "command": repeating_line(state, eye),
        "set": eye.changed(state.values),
        "parameters": dict(state.values),
        "seen_with": plain(eye.settings.seen_with),
        "versions": versions(),
    }


def settings_json(state: State, eye: Eye) -> bytes:
    """The file that ``--set FILE`` takes up again."""
    return json.dumps(settings_page(state, eye), indent=1, ensure_ascii=False).encode() + b"\n"


def taken_up(text: str, name: str, eye: Eye) -> dict[str, float]:
    """All values by name, from an exported file; what it does not name has the table's default.

    Raises:
        ValueError, KeyError: it is no such file, or names or values do not fit this perceiver.
    """
    found = stored_values(text, name)
    eye.table.check_names(found)
    return {row.name: row.default for row in eye.table} | {k: eye.table.check_value(k, v) for k, v in found.items()}


def command_line(state: State, eye: Eye) -> str:
    """The words that accommodate to this image from these settings, at a terminal."""
    return _accommodate(state, eye.starting_at(state.values))


def repeating_line(state: State, eye: Eye) -> str:
    """The words that make what is shown again, bit by bit, and write its maps: one look, or all that were taken."""
    if state.now.is_together and state.episode is not None:
        return _accommodate(state, eye.starting_at(state.episode.start), save=Path("maps"))
    # one look with the guard: there is nothing to leave it for, and what is seen there is the answer
    return _accommodate(state, eye.starting_at(state.values), save=Path("maps"), n_trials=1, use_guard=None)


def _accommodate(state: State, settings: SessionSettings, **other: Any) -> str:
    bare = SessionSettings()
    if all(getattr(settings, name) == getattr(bare, name) for name in _FOLLOWS):
        other |= dict.fromkeys(_FOLLOWS)
    if settings.inherited == bare.inherited and not settings.learned:
        other["inherited"] = None
    return command_of("accommodate", settings, [state.scene.called], **other)


def maps_zip(state: State, eye: Eye) -> bytes:
    """The maps as ``--save`` writes them, and as one ``.npz``, zipped.

    The arrays: ``labels`` (H, W) uint16 at the file's own size; ``boundary``, ``uncertainty`` (h, w) float32 in
    [0, 1] at the size that was seen.
    """
    percept, photograph = seen(state, eye), state.scene.photograph
    size = photograph.original_size
    arrays: dict[str, np.ndarray] = {
        "labels": percept.labels(size)[0].numpy().astype(np.uint16),
        "boundary": percept.boundary[0, 0].detach().numpy(),
    }
    if isinstance(percept, IntegratedPercept):
        arrays["uncertainty"] = percept.uncertainty[0, 0].numpy()
    packed, buffer = io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    (row,) = plan_stems([photograph.name], ["none"])
    with tempfile.TemporaryDirectory(prefix="ciliary-") as folder:
        save_episode(
            Path(folder), row["none"], percept=percept, image=photograph.image, size=size, summary=summary(state, eye)
        )
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)
            archive.writestr(f"{row['none']}.npz", packed.getvalue())
    return buffer.getvalue()


def summary(state: State, eye: Eye) -> Mapping[str, Any]:
    """What the JSON beside the maps tells: the settings, and the episode where the maps are its answer."""
    page = settings_page(state, eye)
    episode = state.episode
    if not state.now.is_together or episode is None:
        return {"answer": "setting", **page}
    trace = episode.trace
    return {
        "answer": "integrated",
        **page,
        "controller": trace.controller,
        "seed": trace.seed,
        "n_trials": trace.n_trials,
        "before": plain(trace.before),
        "after": plain(trace.after),
        "guard": plain(trace.guard),
        "seconds": trace.seconds,
    }
