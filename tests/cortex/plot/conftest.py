"""One small photograph, looked at twice."""

from ciliary_tests.looks import learned as learned
from ciliary_tests.looks import mathematical as mathematical
from ciliary_tests.looks import untrained_weights as untrained_weights
