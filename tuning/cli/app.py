"""The command ``ciliary``, and the same jobs as programs of their own: parse, then import the job and call it.

A subcommand is a row of :data:`COMMANDS`: its settings (light to import), and its job ``run(settings) -> exit code``,
which is imported when it is to run: ``--help`` and a wrong option do not wait for torch.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from ciliary.tuning.app.settings import OpenSettings
from ciliary.tuning.attribution.settings import WhySettings
from ciliary.tuning.benchmarks.settings import BenchmarkSettings, ExamSettings
from ciliary.tuning.browse.settings import UiSettings
from ciliary.tuning.calibration.settings import CalibrateSettings
from ciliary.tuning.cli import processor
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.door import be_lenient, run_job
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, USAGE
from ciliary.tuning.cli.settings import Settings
from ciliary.tuning.correlation.settings import CorrelateSettings
from ciliary.tuning.doctor.settings import DoctorSettings
from ciliary.tuning.evaluation.settings import CompareSettings, EvaluateSettings
from ciliary.tuning.eye.settings import EyeExam, EyeTraining
from ciliary.tuning.fluency.settings import FluencySettings, TypicalityTraining
from ciliary.tuning.focus.settings import FocusSettings
from ciliary.tuning.gaze.settings import ExpectationTraining, GazeSettings, GazeTraining
from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.motion.settings import MotionCommand
from ciliary.tuning.readout.settings import ReadoutSettings
from ciliary.tuning.sessions.merge_settings import MergeSettings
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.spikes.settings import SpikesSettings, SpikesTraining
from ciliary.tuning.track.settings import TrackSettings
from ciliary.tuning.training.options import (
    CortexTraining,
    DepthTraining,
    FeaturesTraining,
    FiltersTraining,
    PolicySettings,
    RobustTraining,
)
from ciliary.tuning.vae.settings import VaeTraining

#: Command -> its settings, and ``module:function`` of its job.
COMMANDS: dict[str, tuple[type[Settings], str]] = {
    "accommodate": (SessionSettings, "ciliary.tuning.sessions.accommodate:accommodate"),
    "open": (OpenSettings, "ciliary.tuning.app.job:run"),
    "merge": (MergeSettings, "ciliary.tuning.sessions.merge_job:run"),
    "ui": (UiSettings, "ciliary.tuning.browse.job:run"),
    "why": (WhySettings, "ciliary.tuning.attribution.job:run"),
    "look": (LookSettings, "ciliary.tuning.inspect.job:run"),
    "gaze": (GazeSettings, "ciliary.tuning.gaze.job:run"),
    "eye": (EyeExam, "ciliary.tuning.eye.job:run"),
    "focus": (FocusSettings, "ciliary.tuning.focus.job:run"),
    "track": (TrackSettings, "ciliary.tuning.track.job:run"),
    "motion": (MotionCommand, "ciliary.tuning.motion.job:run"),
    "spikes": (SpikesSettings, "ciliary.tuning.spikes.job:run"),
    "fluency": (FluencySettings, "ciliary.tuning.fluency.job:run"),
    "correlate": (CorrelateSettings, "ciliary.tuning.correlation.job:run"),
    "readout": (ReadoutSettings, "ciliary.tuning.readout.job:run"),
    "evaluate": (EvaluateSettings, "ciliary.tuning.evaluation.evaluate:run"),
    "compare": (CompareSettings, "ciliary.tuning.evaluation.compare:run"),
    "calibrate": (CalibrateSettings, "ciliary.tuning.calibration.job:run"),
    "train policy": (PolicySettings, "ciliary.tuning.training.policy_job:run"),
    "train cortex": (CortexTraining, "ciliary.tuning.training.cortex_job:run"),
    "train features": (FeaturesTraining, "ciliary.tuning.training.features_job:run"),
    "train depth": (DepthTraining, "ciliary.tuning.training.depth_job:run"),
    "train filters": (FiltersTraining, "ciliary.tuning.training.filters_job:run"),
    "train spikes": (SpikesTraining, "ciliary.tuning.spikes.train_job:run"),
    "train robust": (RobustTraining, "ciliary.tuning.training.robust_job:run"),
    "train typicality": (TypicalityTraining, "ciliary.tuning.fluency.typicality_job:run"),
    "train vae": (VaeTraining, "ciliary.tuning.vae.job:run"),
    "train gaze": (GazeTraining, "ciliary.tuning.gaze.train_job:run"),
    "train expectation": (ExpectationTraining, "ciliary.tuning.gaze.expectation_job:run"),
    "train eye": (EyeTraining, "ciliary.tuning.eye.train_job:run"),
    "examine": (ExamSettings, "ciliary.tuning.benchmarks.job:run"),
    "benchmark": (BenchmarkSettings, "ciliary.tuning.benchmarks.speed_job:run"),
    "doctor": (DoctorSettings, "ciliary.tuning.doctor.job:run"),
}
GROUPS = {
    "train": "Train a policy, the cortex, its depth cue, its gaze, what it expects, its eye, its filters, its spikes, "
    "an autoencoder of its objects, what is usual to it; harden its contours, or fit a backbone for it."
}
POSITIONAL = {
    "images": Annotated[str, Parameter(help="IMAGE|FOLDER: photographs; folders are searched through")],
    "folders": Annotated[str, Parameter(help="FOLDER: of sessions, or a session")],
    "word": Annotated[str | None, Parameter(help="which of those below")],
}


@dataclass(frozen=True)
class Asked:
    """What a command line asks for."""

    command: str
    settings: Settings


def main(argv: Sequence[str] | None = None, *, owns_process: bool = False) -> int:
    """``ciliary COMMAND ...``; returns the exit code."""
    app = _app(
        "ciliary",
        version=_version,
        version_flags=("--version",),
        help="Active perception: a visual cortex that accommodates to each image, without labels.",
    )
    groups = {name: _app(name, help=text) for name, text in GROUPS.items()}
    for group in groups.values():
        app.command(group)
    app.register_install_completion_command()
    for command in COMMANDS:
        within, _, name = command.rpartition(" ")
        (groups[within] if within else app).command(_command_app(command, name))
    return _run(app, argv, "ciliary", owns_process=owns_process)


def door(command: str) -> Callable[..., int]:
    """The ``main(argv=None, *, owns_process=False) -> exit code`` of a program that is one of :data:`COMMANDS`."""

    def main(argv: Sequence[str] | None = None, *, owns_process: bool = False) -> int:
        name = command.replace(" ", "_")
        return _run(_command_app(command, name), argv, name, owns_process=owns_process)

    return main


def program() -> None:
    """The installed command."""
    sys.exit(main(owns_process=True))


def _version() -> str:
    from importlib.metadata import version  # 20 ms

    return f"ciliary {version('ciliary')}"


def _run(app: App, argv: Sequence[str] | None, name: str, *, owns_process: bool) -> int:
    if owns_process:
        be_lenient()
    tokens = sys.argv[1:] if argv is None else list(argv)
    name = "_".join(app.parse_commands(tokens)[0]) or name
    try:
        asked = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        complain(name, f"{error} (see --help)")
        return USAGE
    except ValueError as error:  # the settings' own checks
        complain(name, error)
        return USAGE
    if not isinstance(asked, Asked):  # a page of help was all
        return ALL_WELL
    try:
        lines = asked.settings.hopeless() if owns_process else ()  # else torch is there, and the job says the same
    except ValueError as error:
        complain(name, error)
        return USAGE
    for line in lines:
        complain(name, line)
    if lines:
        return NOTHING
    if owns_process and asked.settings.computes:
        processor.be_patient()
        processor.flush_denormals()
        processor.keep_memory()
        if asked.settings.n_threads is not None:
            processor.use_threads(asked.settings.n_threads)
    module, _, function = COMMANDS[asked.command][1].partition(":")
    job: Callable[[Settings], int] = getattr(importlib.import_module(module), function)
    return run_job(name, job, asked.settings)


def _command_app(command: str, name: str) -> App:
    """The command line of one job, which gives what is :class:`Asked`."""
    settings_type = COMMANDS[command][0]
    app = _app(name, help=settings_type.__doc__ or "", help_epilogue=settings_type.epilog)
    is_optional = all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(settings_type))
    first = next((f.name for f in fields(settings_type) if not f.kw_only), "")

    def of_images(*images: Any, settings: Any) -> Asked:
        return Asked(command, replace(settings, images=images) if images else settings)

    def of_folders(*folders: Any, settings: Any) -> Asked:
        return Asked(command, replace(settings, folders=folders) if folders else settings)

    def of_one(word: Any = None, /, *, settings: Any) -> Asked:
        return Asked(command, replace(settings, **{first: word}) if word else settings)

    def of_none(*, settings: Any) -> Asked:
        return Asked(command, settings)

    function: Any = {"images": of_images, "folders": of_folders, "": of_none}.get(first, of_one)
    function.__annotations__ = {"settings": Annotated[settings_type, Parameter(name="*")]} | POSITIONAL
    function.__kwdefaults__ = {"settings": settings_type()} if is_optional else None
    app.default(function)
    return app


def _app(name: str, **more: Any) -> App:
    """An app that prints plainly, in files and pipes at the width of the texts."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    return App(**{"name": name, "console": console, "help_format": "plaintext", "version_flags": (), **more})
