"""Pictures for what looks at changes: a textured room, with and without somebody in it."""

from __future__ import annotations

import numpy as np


def room(seed: int = 0, height: int = 108, width: int = 192) -> np.ndarray:
    """A textured picture, float, 40 to 215."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(40, 215, (9, 16))
    return np.kron(small, np.ones((height // 9, width // 16)))


def shot(picture: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """What a camera makes of it, uint8."""
    rng = np.random.default_rng(seed)
    return np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def with_figure(picture: np.ndarray, x: int, height: int = 30, width: int = 12, contrast: float = 45) -> np.ndarray:
    """Somebody stands at column `x`, so many grey levels from what is behind."""
    picture = picture.copy()
    part = picture[40 : 40 + height, x : x + width]
    part += np.where(part > 128, -contrast, contrast)
    return picture
