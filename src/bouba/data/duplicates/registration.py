"""Photographs of which one is a part of the other: a little was cut off at some edges."""

from __future__ import annotations

import numpy as np

STEPS = 8
STARTS = (0.94, 1 / 0.94)  # scales from which the best is looked for
MOST = 0.2  # of a side that may be cut off
LEAST_COMMON = 0.7  # share of the pixels that both show
SMOOTH = 1.0  # pixels by which both are blurred, so that a step finds its way
CHUNK = 512  # pairs at once


def aligned_distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far apart two pictures are once one is moved and scaled onto the other: || u - v || over the pixels that both
    show, u and v without their mean and of length one.

    Args:
        one, other: (m, S, S) luminance.

    Returns:
        (m,) in [0, 2]; 2 where more than MOST of a side would be cut off.

    Reference: Lucas and Kanade, "An iterative image registration technique", IJCAI 1981, with scale, shift, gain and
        offset as unknowns.
    """
    from scipy.ndimage import gaussian_filter

    best = np.full(len(one), 2.0)
    for start in range(0, len(one), CHUNK):
        part = slice(start, start + CHUNK)
        a, b = (gaussian_filter(x[part].astype(np.float32), (0, SMOOTH, SMOOTH), mode="nearest") for x in (one, other))
        for scale in STARTS:
            best[part] = np.minimum(best[part], _aligned(a, b, scale))
    return best


def _aligned(a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    """The same from one start; blurred pictures."""
    m, side = a.shape[:2]
    grid = (np.arange(side) + 0.5) / side - 0.5
    rows, columns = (axis.ravel()[None] for axis in np.meshgrid(grid, grid, indexing="ij"))
    down, right = (slope * side for slope in np.gradient(a, axis=(1, 2)))
    target = b.reshape(m, -1)
    warp = np.tile([scale, 0.0, scale, 0.0], (m, 1))  # scale and shift of rows, and of columns
    for _ in range(STEPS):
        seen, common, at = _sampled(a, warp, rows, columns)
        slope_down, slope_right = (_lookup(slope, *at) for slope in (down, right))
        unknowns = np.stack(
            [slope_down * rows, slope_down, slope_right * columns, slope_right, seen, np.ones_like(seen)], 2
        )
        weighted = unknowns * common[..., None]
        normal = np.swapaxes(weighted, 1, 2) @ unknowns
        normal += 1e-4 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(6) / 6
        gain = np.sqrt((target.var(1) + 1e-6) / (seen.var(1) + 1e-6))[:, None]
        error = target - target.mean(1, keepdims=True) - gain * (seen - seen.mean(1, keepdims=True))
        step = np.linalg.solve(normal, np.swapaxes(weighted, 1, 2) @ error[..., None])[..., 0]
        warp = warp + np.clip(step[:, :4] / gain, -0.05, 0.05)
    seen, common, _ = _sampled(a, warp, rows, columns)
    cut = np.maximum(np.abs(warp[:, [0, 2]] - 1), 2 * np.abs(warp[:, [1, 3]])).max(1)
    share = common.sum(1, keepdims=True)
    units = []
    for values in (seen, target):
        centred = (values - (values * common).sum(1, keepdims=True) / np.maximum(share, 1)) * common
        units.append(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-3))
    apart = np.linalg.norm(units[0] - units[1], axis=1)
    return np.where((cut <= MOST) & (share[:, 0] >= LEAST_COMMON * side**2), apart, 2.0)


def _sampled(a: np.ndarray, warp: np.ndarray, rows: np.ndarray, columns: np.ndarray):
    """The pictures as warped, which pixels lie inside, and where they were looked up."""
    side = a.shape[1]
    y = ((warp[:, :1] * rows + warp[:, 1:2]) + 0.5) * side - 0.5
    x = ((warp[:, 2:3] * columns + warp[:, 3:4]) + 0.5) * side - 0.5
    inside = ((y > -0.5) & (y < side - 0.5) & (x > -0.5) & (x < side - 0.5)).astype(np.float32)
    at = np.clip(y, 0, side - 1.001), np.clip(x, 0, side - 1.001)
    return _lookup(a, *at), inside, at


def _lookup(a: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(m, pixels) of pictures (m, S, S) between their pixels, bilinear."""
    m = np.arange(len(a))[:, None]
    top, left = y.astype(int), x.astype(int)
    v, h = y - top, x - left
    above = a[m, top, left] * (1 - h) + a[m, top, left + 1] * h
    below = a[m, top + 1, left] * (1 - h) + a[m, top + 1, left + 1] * h
    return above * (1 - v) + below * v
