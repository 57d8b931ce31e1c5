"""What computes here: processor, memory, and what torch sees of devices. Imports torch, where it can be."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator

from ciliary.cortex.installing import pip_install
from ciliary.tuning.cli.processor import n_cores
from ciliary.tuning.doctor.finding import Finding, Level
from ciliary.tuning.doctor.places import in_words
from ciliary.tuning.doctor.settings import DoctorSettings

_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def device(settings: DoctorSettings) -> Iterator[Finding]:
    """Threads and devices; whether the one that was asked for computes."""
    set_by = {name: os.environ[name] for name in _POOLS if name in os.environ}
    cores = f"{n_cores()} of {os.cpu_count()} cores, {in_words(memory_bytes())} of memory"
    try:
        import torch
    except Exception as error:  # noqa: BLE001 -- a library that is not there is an OSError, a wrong one anything
        text = f"{cores}; torch cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
        do = pip_install("--force-reinstall", "torch", "torchvision")
        yield Finding("device", text, Level.BROKEN, do)
        return
    threads = settings.n_threads or torch.get_num_threads()
    said = "".join(f", {name}={value}" for name, value in set_by.items())
    values = {"machine": platform.machine(), "cores": n_cores(), "threads": threads, "environment": set_by}
    yield Finding("device", f"cpu: {cores}, {threads} threads of torch{said}", values=values)
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for i in range(n_cuda):
        about = torch.cuda.get_device_properties(i)
        text = f"cuda:{i}: {about.name}, {in_words(about.total_memory)}, CUDA {torch.version.cuda}"
        yield Finding("device", text, values={"name": about.name, "memory_bytes": about.total_memory})
    if not n_cuda and shutil.which("nvidia-smi"):
        built = torch.version.cuda
        reason = f"torch is built for CUDA {built}, and finds none" if built else "torch is built without CUDA"
        do = "look at the driver with nvidia-smi" if built else "install a torch with CUDA: pytorch.org says how"
        yield Finding("device", f"cuda: nvidia-smi is here, but {reason}", Level.NOTE, do)
    if torch.backends.mps.is_available():
        yield Finding("device", "mps: there; used only when asked for", values={"mps": True})
    yield from _asked(settings.device)


def memory_bytes() -> int:
    """Of the machine; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _asked(name: str) -> Iterator[Finding]:
    import torch

    from ciliary.cortex.device import choose_device

    try:
        chosen = choose_device(name)
    except ValueError as error:
        yield Finding("device", f"{name}: {error}", Level.MISSING)
        return
    if name == "auto":
        yield Finding("device", f"auto: {chosen.type}", values={"auto": chosen.type})
        return
    try:
        total = float(torch.ones(8, 8, device=chosen).mm(torch.ones(8, 8, device=chosen)).sum())
    except RuntimeError as error:
        yield Finding("device", f"{name}: does not compute: {' '.join(str(error).split())}", Level.MISSING)
        return
    level = Level.WELL if total == 8.0**3 else Level.BROKEN
    yield Finding("device", f"{name}: computes" if level is Level.WELL else f"{name}: 8^3 came out as {total}", level)
