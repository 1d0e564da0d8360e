"""Feed-forward generators: one pass through a network trained for the style."""
