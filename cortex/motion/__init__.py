"""The magnocellular pathway and what it is for: when and where something moves, and how fast."""
