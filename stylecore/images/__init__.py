"""Bytes to pixels and back: codec, resize, color."""
