"""A head on the cortex's fields, learned from labelled masks, beside networks that learn all of it."""
