"""Training of policies: what a controller may learn beforehand, over many images."""
