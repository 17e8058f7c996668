"""What a segmentation shows: its entropy as numbers and as shades, and its overlay on a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDEST = 512  # pixels of an overlay on a page


def labels_of(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the most probable class of every pixel, 0 where they are NaN; row by row, for the memory."""
    most = np.empty(probabilities.shape[1:], np.uint8)
    for row, target in zip(np.moveaxis(probabilities, 1, 0), most, strict=True):
        target[:] = row.argmax(axis=0)
    return most


def entropy_of(probabilities: NDArray[Any]) -> NDArray[Any]:
    """Return the entropy in bits over the first axis, of the same type."""
    from scipy.special import entr

    bits: NDArray[Any] = entr(probabilities).sum(axis=0) / np.log(probabilities.dtype.type(2))
    return bits


def shades_of(entropy: NDArray[np.float32], n_classes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an entropy map in 255 shades as indexes into colors, the last for pixels outside the domain."""
    from .views.render import entropy_map

    most = float(np.log2(max(n_classes, 2)))
    bits = np.append(np.linspace(0.0, most, 255), np.nan)
    index = np.where(np.isnan(entropy), 255, np.rint(np.nan_to_num(entropy) / most * 254))
    return index.astype(np.uint8), entropy_map(bits[None], n_classes)[0]


def level_shades(entropy: NDArray[np.float64], n_classes: int) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Return the entropy of each level as indexes into colors, one more for pixels outside the domain."""
    from .views.render import entropy_map

    bits = np.append(entropy, np.nan)
    colors, index = np.unique(entropy_map(bits[None], n_classes)[0], axis=0, return_inverse=True)
    return index, colors


def middle_plane(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself, or the middle plane of a volume."""
    return array if array.ndim == 2 else array[array.shape[0] // 2]


def html_figure(picture: NDArray[np.uint8], source: str, caption: str) -> str:
    """Return an HTML figure of an RGB picture, at most 512 pixels a side, above lines of text."""
    import base64
    import html

    from .imaging.files import encode_png

    every = -(-max(picture.shape[:2]) // WIDEST)
    data = base64.b64encode(encode_png(picture[::every, ::every])).decode("ascii")
    name = html.escape(source, quote=True)
    return (
        f'<figure><img alt="foreground of {name}" src="data:image/png;base64,{data}">'
        f"<figcaption><pre>{html.escape(caption)}</pre></figcaption></figure>"
    )
