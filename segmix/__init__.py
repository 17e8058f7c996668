"""Segment an image by the mixture of intensities it is made of, and say how sure you are.

The names below load on first use, so that ``import segmix`` costs next to nothing.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
