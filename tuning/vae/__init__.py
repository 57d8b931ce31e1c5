"""A small variational autoencoder of proto-objects: what few numbers say of what they are like."""
