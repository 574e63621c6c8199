"""A procedural ten-class image task: 32x32 colour images, seeded, as .npy files.

    python bench/procedural_data.py --images images.npy --labels labels.npy [--count N] [--seed S]

Classes: disc, square, triangle, cross, ring, and a textured square with stripes (four orientations or a
checkerboard) or circles. Position, size, rotation, colours, lighting, clutter and pixel noise vary.
Images are float32 [N, 3, 32, 32], roughly zero mean and unit variance; labels are int64 [N].
"""

import argparse
import math

import numpy as np

CLASSES = 10
SIZE = 32


def shape_mask(label, u, v, scale, rng):
    """Which pixels belong to the figure, in its own rotated coordinates u, v (pixels)."""
    distance = np.hypot(u, v)
    chebyshev = np.maximum(np.abs(u), np.abs(v))
    frequency, phase = rng.uniform(0.6, 1.1), rng.uniform(0, 2 * math.pi)
    textured = chebyshev < 1.3 * scale
    if label == 0:
        return distance < scale
    if label == 1:
        return chebyshev < 0.88 * scale
    if label == 2:
        return (v > -0.7 * scale) & (v < 0.9 * scale) & (np.abs(u) < (v + 0.7 * scale) * 0.62)
    if label == 3:
        return ((np.abs(u) < 0.33 * scale) | (np.abs(v) < 0.33 * scale)) & (chebyshev < scale)
    if label == 4:
        return (distance < scale) & (distance > 0.58 * scale)
    if label == 5:
        return textured & (np.sin(2 * frequency * u + phase) > 0)
    if label == 6:
        return textured & (np.sin(2 * frequency * v + phase) > 0)
    if label == 7:
        return textured & (np.sin(1.6 * frequency * u + phase) * np.sin(1.6 * frequency * v + phase) > 0)
    if label == 8:
        return textured & (np.sin(1.5 * frequency * (u + v) + phase) > 0)
    return textured & (np.sin(2 * frequency * distance + phase) > 0)


def two_colours(rng):
    """Background and figure, far enough apart to be told from each other."""
    background, figure = rng.uniform(0, 1, 3), rng.uniform(0, 1, 3)
    while np.abs(figure - background).sum() < 0.6:
        figure = rng.uniform(0, 1, 3)
    return background, figure


def image(label, rng, noise):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    centre_x, centre_y = rng.uniform(10, 22, 2)
    scale, angle = rng.uniform(5, 10), rng.uniform(-0.35, 0.35)
    u = (xx - centre_x) * math.cos(angle) + (yy - centre_y) * math.sin(angle)
    v = (yy - centre_y) * math.cos(angle) - (xx - centre_x) * math.sin(angle)
    background, figure = two_colours(rng)
    mask = shape_mask(label, u, v, scale, rng)
    pixels = background[:, None, None] + (figure - background)[:, None, None] * mask
    slope_x, slope_y = rng.normal(0, 0.012, 2)
    pixels = pixels + slope_x * (xx - SIZE / 2) + slope_y * (yy - SIZE / 2)
    for _ in range(2):
        left, top = rng.integers(0, SIZE - 6, 2)
        width, height = rng.integers(2, 7, 2)
        pixels[:, top:top + height, left:left + width] = rng.uniform(0, 1, 3)[:, None, None]
    return (pixels + rng.normal(0, noise, pixels.shape) - 0.5) / 0.4


def make_data(count, seed, noise=0.15):
    """Images float32 [count, 3, 32, 32] and labels int64 [count]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    images = np.stack([image(label, rng, noise) for label in labels]).astype(np.float32)
    return images, labels.astype(np.int64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="where to write the images (.npy)")
    parser.add_argument("--labels", required=True, help="where to write the labels (.npy)")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.15, help="standard deviation of the pixel noise")
    options = parser.parse_args()
    images, labels = make_data(options.count, options.seed, options.noise)
    np.save(options.images, images)
    np.save(options.labels, labels)


if __name__ == "__main__":
    main()
