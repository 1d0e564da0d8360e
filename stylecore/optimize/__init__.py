"""Change the pixels until the statistics match: L-BFGS, Adam, the loop."""
