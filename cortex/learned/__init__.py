"""The learned part of each stage: a small network beside the mathematics, with the same call and answer as its stage."""
