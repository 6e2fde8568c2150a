"""cca-zoo's side."""

from cca_zoo.linear import CCA


def cca(arrays):
    """Canonical variates of new rows."""
    fitted = CCA(n_components=5).fit([arrays["x"], arrays["y"]])
    z_x, z_y = fitted.transform([arrays["new_x"], arrays["new_y"]])
    return {"z_x": z_x, "z_y": z_y}
