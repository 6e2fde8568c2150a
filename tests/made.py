"""Views with a known answer, shared by all rooms."""

import numpy as np

from bouba.data import Views


def twin_vectors(n=240, d=6, noise=0.1, seed=0):
    """Two vector views of the same latent numbers, so that their pairs can be found."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, d))
    mix = random.normal(size=(d, d + 3))
    left = latent + noise * random.normal(size=latent.shape)
    right = latent @ mix + noise * random.normal(size=(n, d + 3))
    return Views({"left": left, "right": right})
