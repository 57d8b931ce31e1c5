"""What an image is named by: M5's codes of its proto-objects, and what these have to be better than."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ciliary.cortex.description import N_DESCRIPTION
from ciliary.cortex.stages.m5_learned import N_CODE
from ciliary.cortex.stages.m5_recognition import recognise
from ciliary.tuning.benchmarks.features import Features, sets, single, unit
from ciliary.tuning.benchmarks.perceive import Look
from ciliary.tuning.benchmarks.tokens import Tokens

Representation = Callable[[Tokens], Features]

LEARNED = "M5 code"
MATHEMATICAL = "mathematical M5 code"
RANDOM = "random features"
GLOBAL = "global description"
DEEP = "deep on proto-objects"
BOTH = "M5 code + deep"
GLOBAL_DEEP = "global deep"
RANDOM_SEED = 0

WORDS = {
    LEARNED: "codes of the learned M5, one a proto-object",
    MATHEMATICAL: "codes of M5 without learning, of the same proto-objects",
    RANDOM: f"the mathematical codes, projected at random to {N_CODE} numbers (seed {RANDOM_SEED})",
    GLOBAL: "mathematical code of the image's mean description: no proto-objects",
    DEEP: "the backbone's last map averaged over each proto-object",
    BOTH: "code and deep features of each proto-object, each with the same say",
    GLOBAL_DEEP: "the backbone's last map averaged over the whole image",
}


def representations(look: Look) -> dict[str, Representation]:
    """Name -> function, of all there is with this cortex; see :data:`WORDS` for what they are."""
    own: dict[str, Representation] = {LEARNED: learned_code} if look.has_learned_m5 else {}
    found = own | {MATHEMATICAL: mathematical_code, RANDOM: random_features, GLOBAL: global_description}
    if look.deep != "none":
        code = learned_code if look.has_learned_m5 else mathematical_code
        found |= {
            DEEP: lambda tokens: sets(_given(tokens.pooled), tokens.weight),
            BOTH: lambda tokens: _side_by_side(code(tokens), sets(_given(tokens.pooled), tokens.weight)),
            GLOBAL_DEEP: lambda tokens: single(_given(tokens.deep)),
        }
    return found


def learned_code(tokens: Tokens) -> Features:
    """What the cortex's own M5 answered."""
    return sets(tokens.code, tokens.weight)


def mathematical_code(tokens: Tokens) -> Features:
    """:func:`ciliary.cortex.stages.m5_recognition.recognise` of the same descriptions."""
    return sets(_recognised(tokens.description, tokens.weight), tokens.weight)


def random_features(tokens: Tokens) -> Features:
    """A normal projection, fixed by its seed, of the mathematical code to the size of the learned one."""
    rng = np.random.default_rng(RANDOM_SEED)
    projection = rng.standard_normal((N_DESCRIPTION, N_CODE)).astype(np.float32)
    return sets(_recognised(tokens.description, tokens.weight) @ projection, tokens.weight)


def global_description(tokens: Tokens) -> Features:
    """The whole image as one proto-object whose description is the weighted mean of all."""
    mean = (tokens.description * tokens.weight[..., None]).sum(1, keepdims=True)
    return single(_recognised(mean, np.ones_like(tokens.weight[:, :1]))[:, 0])


def _recognised(description: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return recognise(torch.from_numpy(description), torch.from_numpy(weight)).code.numpy()


def _given(deep: np.ndarray | None) -> np.ndarray:
    if deep is None:
        raise ValueError("expected tokens with deep features; perceive with a deep backbone")
    return deep.astype(np.float32)


def _side_by_side(a: Features, b: Features) -> Features:
    return Features(unit(np.concatenate([a.vectors, b.vectors], 1)), a.weight, a.starts)
