"""Reconstruction, the term and its function."""

import math

import pytest
import torch
from torch import nn

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.nn.decoder import Decoder, decoder_for
from bouba.terms import InfoNCE, Reconstruction, Space, reconstruction


def batch_of(raw, z=None, present=None):
    size = len(next(iter(raw.values())))
    here = present or {name: torch.ones(size, dtype=torch.bool) for name in raw}
    return Batch({}, here, torch.arange(size), z=z or dict(raw), raw=raw)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_definition():
    z, raw, decoder = drawn(5, 3), drawn(5, 4, seed=1), nn.Linear(3, 4)
    total = sum((raw[i, k] - decoder(z[i])[k]) ** 2 for i in range(5) for k in range(4))
    torch.testing.assert_close(reconstruction(z, raw, decoder), total / 20)


def test_gradcheck():
    z, raw = drawn(3, 2).double().requires_grad_(), drawn(3, 4, seed=1).double().requires_grad_()
    decoder = nn.Linear(2, 4).double()
    assert torch.autograd.gradcheck(lambda z, raw: reconstruction(z, raw, decoder), (z, raw))


def test_law_off_by_one_everywhere_costs_one_whatever_the_width():
    for width in (1, 7, 300):
        raw = drawn(6, width)
        assert reconstruction(raw + 1, raw, nn.Identity()).item() == pytest.approx(1, abs=1e-5)


def test_half_precision_is_computed_in_float32():
    z, raw = drawn(5, 3), drawn(5, 3, seed=1)
    value = reconstruction(z.bfloat16(), raw, nn.Identity())
    assert value.dtype == torch.float32
    assert value.item() == reconstruction(z.bfloat16().float(), raw, nn.Identity()).item()


def principal(x, width):
    """Share of variance that the best linear code of this width gives back."""
    s = torch.linalg.svdvals(x - x.mean(0)).square()
    return (s[:width].sum() / s.sum()).item()


def test_recovery_an_autoencoder_of_one_view_comes_near_the_best_linear_code():
    """Five numbers behind twelve: a code of five gives nearly all of it back, one of two as much as PCA."""
    x = drawn(300, 5) @ drawn(5, 12, seed=1)
    x = (x - x.mean(0)) / x.std(0)
    for width in (2, 5):
        torch.manual_seed(0)
        tower, term = nn.Linear(12, width), Reconstruction(hidden=64)
        state = term.state(Space({"a": width}, raw={"a": (12,)}))
        optimizer = torch.optim.Adam([*tower.parameters(), *state.parameters()], lr=0.01)
        for _ in range(200):
            optimizer.zero_grad()
            value, parts = term.loss(batch_of({"a": x}, {"a": tower(x)}), state)
            value.backward()
            optimizer.step()
        assert parts["explained.a"].item() > principal(x, width) - 0.05
    assert parts["explained.a"].item() > 0.95


def test_recovery_keeps_what_one_view_alone_knows():
    """Contrast unlearns what is not shared; with reconstruction a probe finds what only the left view says."""
    shared, private = drawn(200, 2), drawn(200, 2, seed=1)
    left = torch.cat([shared, private], 1)

    def probed(objective):
        torch.manual_seed(0)
        towers = nn.ModuleDict({"left": nn.Linear(4, 4), "right": nn.Linear(2, 4)})
        state = objective.state(Space({"left": 4, "right": 4}, raw={"left": (4,)}))
        optimizer = torch.optim.Adam([*towers.parameters(), *state.parameters()], lr=0.02)
        here = {name: torch.ones(200, dtype=torch.bool) for name in towers}
        for _ in range(100):
            z = {"left": towers["left"](left), "right": towers["right"](shared)}
            optimizer.zero_grad()
            objective.loss(Batch({}, here, torch.arange(200), z=z, raw={"left": left}), state)[0].backward()
            optimizer.step()
        code = z["left"].detach() / z["left"].detach().std()
        code = code + 0.1 * drawn(200, 4, seed=2)  # what is fainter than a tenth is lost
        probe = torch.cat([code, torch.ones(200, 1)], 1)
        error = private - probe @ torch.linalg.lstsq(probe, private).solution
        return 1 - (error.var() / private.var()).item()

    assert probed(1.0 * InfoNCE()) < 0.1
    assert probed(InfoNCE() + 1.0 * Reconstruction(hidden=32)) > 0.4


def test_term_averages_views_over_the_rows_that_have_them():
    raw = {"a": drawn(6, 3), "b": drawn(6, 5, seed=1)}
    z = {"a": drawn(6, 4, seed=2), "b": drawn(6, 4, seed=3), "c": drawn(6, 4, seed=4)}
    here = {"a": torch.ones(6, dtype=torch.bool), "b": torch.tensor([1, 1, 0, 1, 0, 0], dtype=torch.bool)}
    here["c"] = ~here["b"]
    space, batch = Space(dict.fromkeys(z, 4), raw={"a": (3,), "b": (5,)}), batch_of(raw, z, here)
    term = Reconstruction(hidden=8)
    state = term.state(space)
    rows = here["b"]
    own = [
        reconstruction(z["a"], raw["a"], state["a"]).item(),
        reconstruction(z["b"][rows], raw["b"][rows], state["b"]).item(),
    ]
    value, parts = term.loss(batch, state)
    assert value.item() == pytest.approx(sum(own) / 2, abs=1e-6)
    assert set(parts) == {"explained.a", "explained.b"}
    spread = (raw["a"] - raw["a"].mean(0)).square().mean().item()
    assert parts["explained.a"].item() == pytest.approx(1 - own[0] / spread, abs=1e-5)
    crossed = [reconstruction(z[s][rows], raw[t][rows], state[t]).item() for s, t in (("b", "a"), ("a", "b"))]
    crossed.append(reconstruction(z["c"][~rows], raw["a"][~rows], state["a"]).item())
    value, parts = Reconstruction(hidden=8, cross=True).loss(batch, state)
    assert value.item() == pytest.approx(sum(own + crossed) / 5, abs=1e-6)
    assert {"explained.a.from.b", "explained.b.from.a", "explained.a.from.c"} < set(parts)


def test_fused_decodes_every_view_of_a_row_from_its_one_vector():
    raw, fused = {"a": drawn(6, 3), "b": drawn(6, 5, seed=1)}, drawn(6, 4, seed=2)
    here = {"a": torch.ones(6, dtype=torch.bool), "b": torch.tensor([1, 1, 0, 1, 0, 0], dtype=torch.bool)}
    term = Reconstruction(hidden=8, fused=True)
    state = term.state(Space({"a": 7, "b": 7}, raw={"a": (3,), "b": (5,)}, fused=4))
    z = {view: torch.full((6, 7), torch.nan) for view in raw}
    value, parts = term.loss(batch_of(raw, z, here).replace(fused=fused), state)
    error = 0.0
    for view, width in (("a", 3), ("b", 5)):
        rows = here[view].nonzero()[:, 0].tolist()
        off = [(raw[view][i, k] - state[view](fused[i : i + 1])[0, k]) ** 2 for i in rows for k in range(width)]
        error += sum(off).item() / len(off) / 2
    assert value.item() == pytest.approx(error, abs=1e-6)
    assert set(parts) == {"explained.a", "explained.b"}


def test_pictures_grow_from_small_maps():
    for shape in ((3, 16, 16), (3, 10, 10), (1, 4, 4), (3, 5, 9), (2, 3, 3)):
        decoder = decoder_for(6, shape, hidden=16)
        assert decoder(torch.zeros(2, 6)).shape == (2, math.prod(shape))
    assert isinstance(decoder_for(6, (48,), hidden=16), Decoder)
    torch.manual_seed(0)
    rings = torch.stack([((torch.arange(16) - 7.5).square()[:, None] + (torch.arange(16) - 7.5) ** 2 < r).float()
                         for r in (9, 25, 49)])  # fmt: skip
    decoder, z = decoder_for(4, (1, 16, 16), hidden=32), torch.eye(3, 4)
    steps = torch.optim.Adam(decoder.parameters(), 1e-2)
    for _ in range(150):
        steps.zero_grad()
        reconstruction(z, rings.flatten(1), decoder).backward()
        steps.step()
    assert reconstruction(z, rings.flatten(1), decoder) < 0.05 * rings.flatten(1).var(0, correction=0).mean()


def test_one_row_has_no_variance_to_explain():
    batch = batch_of({"a": torch.ones(1, 3)})
    term = Reconstruction(hidden=2)
    value, parts = term.loss(batch, term.state(Space({"a": 3}, raw={"a": (3,)})))
    assert value.item() > 0
    assert parts == {}


def test_refusals():
    space = Space({"image": 4, "text": 4, "table": 4}, raw={"image": (3, 16, 16), "table": (9,)})
    with pytest.raises(
        ModalityError, match=r"cannot decode 'text': .* no raw form; views that can be: 'image', 'table'"
    ):
        Reconstruction(views=("text", "image")).state(space)
    with pytest.raises(ModalityError, match=r"cannot decode 'text': .* views that can be: none"):
        Reconstruction().state(Space({"text": 4}))
    with pytest.raises(ModalityError, match="Reconstruction names 'imge', but no such view; did you mean 'image'"):
        Reconstruction(views=("imge",)).state(space)
    with pytest.raises(UsageError, match="hidden must be at least 1, got 0"):
        Reconstruction(hidden=0).state(space)
    with pytest.raises(UsageError, match=r"from the other views \(cross\) or from the fused vector, not both"):
        Reconstruction(cross=True, fused=True)
    with pytest.raises(UsageError, match=r"Reconstruction\(fused=True\) needs a fusion"):
        Reconstruction(fused=True).state(space)
    good, broken = drawn(4, 3), drawn(4, 3)
    broken[2, 0] = math.nan
    with pytest.raises(DataError, match="raw holds NaN or infinity in 1 of 4 rows, first in row 2"):
        reconstruction(good, broken, nn.Identity())
    with pytest.raises(UsageError, match=r"must give back raw \(4, 2\) with rows, gave \(4, 3\)"):
        reconstruction(good, good[:, :2], nn.Identity())
