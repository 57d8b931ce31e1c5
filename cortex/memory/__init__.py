"""Memory of things: proto-objects that keep their identity over glances and frames."""
