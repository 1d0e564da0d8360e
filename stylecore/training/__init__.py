"""Training of networks: bytes and pictures in, weights out; no storage, no clock of its own."""
