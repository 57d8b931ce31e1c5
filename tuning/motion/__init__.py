"""Motion: figures of sequences, and the exam of the cells for it."""
