"""What a stack must not weaken, as rules that the engine checks on every preview and update."""
