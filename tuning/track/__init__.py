"""Things followed: a memory of proto-objects run over frames and glances, and told beside where things truly went."""
