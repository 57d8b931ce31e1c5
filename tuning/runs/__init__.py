"""What is kept of runs: the tracking store, records, files, fingerprints."""
