"""Prefect tasks: each a thin wrapper around calls into stylecore."""
