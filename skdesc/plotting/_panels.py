"""Axes for the displays."""

from __future__ import annotations

import numpy as np


def panels(ax, count, width=0.0):
    """Axes in a row: new ones (of at least some width), or in the place of those given."""
    import matplotlib.pyplot as plt

    if ax is None:
        size = max(4.8, 3.2 * count, width), 3.6
        _, axes = plt.subplots(1, count, squeeze=False, figsize=size, layout="constrained")
        return axes[0]
    if count == 1:
        return np.array([ax], dtype=object)
    ax.set_axis_off()
    spec = ax.get_subplotspec()
    if spec is None:  # axes that were placed by hand
        left, bottom, right, top = ax.get_position().extents
        places = ax.figure.add_gridspec(1, count, left=left, bottom=bottom, right=right, top=top)
    else:
        places = spec.subgridspec(1, count)
    return np.array([ax.figure.add_subplot(place) for place in places], dtype=object)
