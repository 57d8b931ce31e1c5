"""The learned part of each stage: a small network beside the mathematics, called and answering as its stage."""
