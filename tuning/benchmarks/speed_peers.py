"""The same by others, in the same run: segmenters of scikit-image on the same photograph, environments of peers.

Peers are no dependencies: what can be imported is measured, what cannot is named.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata, util
from typing import Any

import numpy as np
from skimage import color, segmentation

from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.speed_pictures import photograph
from ciliary.tuning.benchmarks.speed_steps import N_STEPS, time_steps
from ciliary.tuning.benchmarks.timing import About, Measured, repeat


def _grey(method: Callable[..., Any]) -> Callable[[np.ndarray], Any]:
    return lambda image: method(color.rgb2gray(image))


#: Name -> label map of an image (H, W, 3), with the library's own defaults.
SEGMENTERS: dict[str, Callable[[np.ndarray], Any]] = {
    "felzenszwalb": lambda image: segmentation.felzenszwalb(image),
    "slic": lambda image: segmentation.slic(image),
    "quickshift": lambda image: segmentation.quickshift(image),
    "chan_vese": _grey(segmentation.chan_vese),
}
SLOW = ("quickshift", "chan_vese")  # ten times the others; measured at the smallest size only


@dataclass(frozen=True)
class Peer:
    """Somebody else's environments.

    Attributes:
        package: as it is installed.
        module: to import.
        make: environment -> (what makes a single one, of the imported module; what makes a vector of n, or None).
    """

    package: str
    module: str
    make: dict[str, tuple[Callable[[Any], Any], Callable[[Any, int], Any] | None]]


def _gym(name: str) -> tuple[Callable[[Any], Any], Callable[[Any, int], Any]]:
    import gymnasium as gym

    return lambda module: gym.make(name), lambda module, n: gym.make_vec(name, num_envs=n)


def _dac(name: str) -> tuple[Callable[[Any], Any], None]:
    return lambda module: getattr(module, name)().get_environment(), None


_DAC = ("LubyBenchmark", "ToySGDBenchmark", "FunctionApproximationBenchmark")
PEERS = (
    Peer("ap_gym", "ap_gym", {name: _gym(name) for name in ("CircleSquare-v0", "LightDark-v0", "LIDARLocMaze-v0")}),
    Peer("DACBench", "dacbench.benchmarks", {name: _dac(name) for name in _DAC}),
)
#: Promptable segmenters whose weights are fetched from a hub: named, never measured without them.
HUB_MODELS = ("segment_anything", "sam2", "mobile_sam")


def measure_peers(settings: BenchmarkSettings, missing: dict[str, str]) -> Iterator[Measured]:
    """Peers that are here; of others, why not is put into ``missing``."""
    for size_px in settings.sizes_px:
        image = photograph(size_px).permute(1, 2, 0).double().numpy()
        for name, method in SEGMENTERS.items():
            if name in SLOW and size_px > min(settings.sizes_px):
                continue
            n_repeats = min(3, settings.n_repeats) if name in SLOW else settings.n_repeats
            timing = repeat(partial(method, image), n_repeats=n_repeats)
            yield Measured("peers", f"scikit-image {name}", "image", timing, {"size_px": size_px})
    for peer in PEERS:
        yield from _steps(peer, settings, missing)
    for name in HUB_MODELS:
        if util.find_spec(name) is None:
            missing[name] = "not installed"
        else:
            missing[name] = "installed, but not measured: its weights are fetched from a hub"


def _steps(peer: Peer, settings: BenchmarkSettings, missing: dict[str, str]) -> Iterator[Measured]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = importlib.import_module(peer.module)
        except ImportError as error:
            missing[peer.package] = f"cannot be imported: {error}"
            return
        for name, (single, vector) in peer.make.items():
            about: About = {"version": _version(peer.package)}
            how = {"n_repeats": settings.n_repeats, "n_steps": N_STEPS, "seed": settings.seed}
            title = f"{peer.package} {name}"
            try:
                env = single(module)
                yield Measured("peers", title, "step", time_steps(env, **how), about)
                env.close()
                if vector is not None:
                    n_envs = settings.n_envs
                    envs = vector(module, n_envs)
                    timing = time_steps(envs, n_envs=n_envs, **how)
                    yield Measured("peers", f"{title} x {n_envs}", "step of one", timing, {**about, "n_envs": n_envs})
                    envs.close()
            except Exception as error:  # noqa: BLE001 -- of somebody else's: it is named, the rest is measured
                missing[title] = f"{type(error).__name__}: {error}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
