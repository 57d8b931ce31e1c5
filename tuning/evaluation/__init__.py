"""How well percepts agree with people: data, scores and their statistics."""
