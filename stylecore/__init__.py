"""Style transfer on tensors, and what a batch of it is. Knows nothing of Prefect."""
