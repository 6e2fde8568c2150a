"""What training may see of the target domain: cells without labels, keys, captions or partners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.data import Views
from bouba.data.target import hide
from bouba.errors import DataError, ModalityError

N = 10
OURS = np.arange(N) % 2 == 1  # odd rows are sketches


def made(order=None):
    """Ten rows, half of them sketches; `order` permutes captions, labels, keys, groups and notes of the sketches."""
    places = np.arange(N)
    places[OURS] = places[OURS][np.arange(5) if order is None else list(order)]
    return Views(
        {"picture": np.arange(N, dtype=float)[:, None] + 1, "caption": [f"caption {i}" for i in places]},
        kinds={"caption": "text"},
        y={"kind": [f"kind {i}" for i in places]},
        key=[f"key {i}" for i in places],
        group=[f"group {i}" for i in places],
        domain=["sketch" if ours else "photo" for ours in OURS],
        meta={"note": [f"note {i}" for i in places]},
    )


def shown(views):
    """Everything that can be read of the views, cell by cell."""
    cells = {
        name: [np.asarray(c[i]).tolist() if c.present[i] else None for i in range(len(views))]
        for name, c in views.columns.items()
    }
    about = {"key": views.key, "group": views.group, "domain": views.domain, "rows": views.rows, **views.y}
    return cells | {name: values.tolist() for name, values in about.items()} | {"meta": list(views.meta)}


def test_definition():
    views, mask = hide(made(), "sketch")
    assert mask.tolist() == [False] * 5 + [True] * 5
    assert views["picture"].present.all()
    assert views["caption"].present.tolist() == (~mask).tolist()
    for values in (views.y["kind"], views.key, views.group):
        assert [v is None for v in values] == mask.tolist()
    assert views.meta == {}
    assert sorted(v[0] for v in shown(views)["picture"][5:]) == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert shown(views[~mask]) == shown(made()[~OURS]) | {"meta": []}  # the source is as it was


@given(st.permutations(range(5)))
@settings(max_examples=20, deadline=None)
def test_law_target_captions_and_labels_cannot_be_seen(order):
    assert shown(hide(made(order), "sketch")[0]) == shown(hide(made(), "sketch")[0])


def test_pairings_are_broken_where_captions_are_shown():
    views, mask = hide(made(), {"sketch": ["picture", "caption"]}, random_state=1)
    assert mask.sum() == 10
    assert (views["picture"].present[mask] ^ views["caption"].present[mask]).all()
    assert {c for c in shown(views)["caption"][5:] if c} == {f"caption {i}" for i in range(1, N, 2)}
    order = [p is not None for p in shown(views)["picture"][5:]]
    assert order not in ([True] * 5 + [False] * 5, [True, False] * 5)  # and nothing is told by the order


def test_a_target_of_captions_alone_shows_them():
    views = made()
    views = views.replace(columns={**views.columns, "picture": views["picture"].without(OURS)})
    assert hide(views, "sketch")[0]["caption"].present.all()


def test_refusals():
    with pytest.raises(DataError, match=r"no domain 'sketsh'; did you mean 'sketch'\?; name the column with domain="):
        hide(made(), "sketsh")
    with pytest.raises(DataError, match="no domain 'x'; there is none; name the column"):
        hide(Views({"x": np.eye(2)}), "x")
    with pytest.raises(DataError, match="every row is of the target 'sketch'; adaptation needs source rows"):
        hide(made()[OURS], "sketch")
    with pytest.raises(ModalityError, match="no view 'captoin'; did you mean 'caption'"):
        hide(made(), {"sketch": ["captoin"]})
    with pytest.raises(DataError, match=r"the target 'sketch' has no cell in \[\]; nothing to adapt to"):
        hide(made(), {"sketch": []})
