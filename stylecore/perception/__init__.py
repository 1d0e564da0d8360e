"""How alike two images look to a pretrained network: encoder, losses, targets, weights."""
