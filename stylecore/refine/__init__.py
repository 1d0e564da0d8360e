"""The GAN that makes a stylized picture's texture more like the painting's: use, gate, files."""
