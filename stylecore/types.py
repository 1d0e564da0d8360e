"""The tensors that pass between modules: layout, range and colour space, said once.

Axes: ``b`` images of a batch, ``c`` channels, ``h`` rows, ``w`` columns. An ``ImageBatch`` is sRGB
(not linear), in [0, 1]; normalisation for a network happens inside the encoder, never outside.
A ``Mask`` says how far each pixel belongs to a region, from 0 to 1.
"""

from jaxtyping import Float
from torch import Tensor

ImageBatch = Float[Tensor, "b 3 h w"]
FeatureMap = Float[Tensor, "b c h w"]
Mask = Float[Tensor, "b 1 h w"]
GramMatrix = Float[Tensor, "b c c"]
PerImage = Float[Tensor, " b"]
