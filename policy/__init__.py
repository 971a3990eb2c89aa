"""Rules that a stack must keep; the engine checks them on every preview and update."""
