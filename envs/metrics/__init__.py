"""How well percepts agree with people, and statistics over images."""
