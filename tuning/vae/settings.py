"""What ``train vae`` is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, option
from ciliary.tuning.cli.settings import CortexOptions, Images, Seed, Size


@dataclass(frozen=True, kw_only=True)
class VaeTraining(CortexOptions):
    """Learn a small variational autoencoder of proto-objects: their colour, texture, place, shape and strokes.

    Learned from the proto-objects of four photographs in five; what it gives back is told of the others, beside
    principal components of as many numbers. Without IMAGE, the bundled photographs, which are few.
    """

    epilog: ClassVar[str] = f"""\
loss          squared error, and the divergence of each latent from a normal one, free below --free-bits nats; with
              --sparsity W also the divergence of each hidden unit's mean activity from a rate of 0.05
attention     --attention T weighs the hidden units by a softmax of temperature T, of the units themselves
output        OUT/vae.safetensors, report.md, and vae.png: what is given back, and steps between two proto-objects
{IN_WORDS}

examples      ciliary train vae holiday/ --latents 8
              ciliary train vae holiday/ --sparsity 0.1 --attention 1
"""

    images: Images = field(default=("bundled",), kw_only=False)
    size_px: Size = 128
    n_latents: Annotated[int, option("--latents", "N", "numbers of a code"), at_least(1)] = 8
    n_hidden: Annotated[int, option("--hidden", "N", "hidden units of encoder and decoder"), at_least(1)] = 96
    beta: Annotated[float, option("--beta", "W", "weight of the divergence"), at_least(0)] = 1.0
    free_bits: Annotated[
        float, option("--free-bits", "NATS", "divergence of a latent that costs nothing"), at_least(0)
    ] = 0.1
    sparsity: Annotated[
        float, option("--sparsity", "W", "weight of the penalty on active hidden units"), at_least(0)
    ] = 0.0
    attention: Annotated[
        float, option("--attention", "T", "temperature of a softmax over hidden units; 0: none"), at_least(0)
    ] = 0.0
    n_steps: Annotated[int, option("--steps", "N", "batches"), at_least(1)] = 3000
    seed: Seed = 0
    out: Annotated[Path, option("--out", "DIR", "what is kept")] = Path("runs/vae")
