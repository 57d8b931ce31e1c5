"""A setting of a visual cortex for each photograph, chosen without labels: Ciliary's response table, for OptunaHub."""

from ciliary.tuning.tabular.benchmark import Benchmark as Benchmark
from ciliary.tuning.tabular.problem import ResponseTableProblem as Problem

__all__ = ["Benchmark", "Problem"]
