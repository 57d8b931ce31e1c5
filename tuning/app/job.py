"""Serve the page: the perceiver is made, the images are found, and the address is said. An exit code."""

from __future__ import annotations

import importlib
import socket
from functools import partial

from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.envs.data.sources import bundled_files
from ciliary.tuning.app.eye import SHOWN_PX, Eye
from ciliary.tuning.app.settings import FIRST_PORT, HOST, LIBRARY, OpenSettings, not_installed
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.sessions.inputs import Input, collect

_N_PORTS = 50


def run(settings: OpenSettings) -> int:
    """Serve the page until it is stopped.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images were not found, 130 stopped by Ctrl-C.
    """
    try:
        importlib.import_module(LIBRARY)
    except ImportError:
        _complain(not_installed())
        return NOTHING
    from ciliary.tuning.app.page import serve

    try:
        eye = Eye(settings.session)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        _complain(error)
        return USAGE
    except ProviderUnavailable as error:
        _complain(error)
        return NOTHING
    inputs, problems = find(settings)
    for line in problems:
        _complain(line)
    if not inputs:
        return NOTHING
    try:
        port = free_port(settings.host, settings.port)
    except OSError as error:
        _complain(error)
        return NOTHING
    if settings.host != HOST:
        _complain(f"whoever reaches {settings.host}:{port} can use the page, and show it images")
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(f"open     http://{settings.host}:{port}  (Ctrl-C ends it)")
    try:
        serve(eye, inputs, host=settings.host, port=port, has_browser=settings.has_browser)
    except KeyboardInterrupt:
        return STOPPED
    return SOME_FAILED if problems else ALL_WELL


def find(settings: OpenSettings) -> tuple[dict[str, tuple[Input, Input]], list[str]]:
    """Images by name, each as the perceiver sees it and as people do; and a line for each that gave none.

    They are read when they are asked for; here only until one can be, so that a page has something to show.
    """
    asked = settings.images or tuple(bundled_files())
    inputs, problems, notes = collect(asked, settings.size_px)
    shown, _, _ = collect(asked, SHOWN_PX)
    found = {one.name: (one, other) for one, other in zip(inputs, shown, strict=True)}
    for item in inputs:
        try:
            item.load()
            break
        except (ValueError, OSError, MemoryError) as error:
            problems.append(failure(item.label, error))
            del found[item.name]
    return found, [*problems, *notes]


def free_port(host: str, asked: int | None) -> int:
    """The port asked for, or the first that is free.

    Raises:
        OSError: it is taken, or none is free; says so.
    """
    for port in (asked,) if asked is not None else range(FIRST_PORT, FIRST_PORT + _N_PORTS):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((host, port))
            except OSError as error:
                problem = error
                continue
            return port
    where = f"port {asked}" if asked is not None else f"ports from {FIRST_PORT}"
    raise OSError(f"cannot listen on {host}, {where}: {problem.strerror}; give another with --port") from problem


_complain = partial(complain, "open")
