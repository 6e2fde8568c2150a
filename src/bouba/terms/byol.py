"""BYOL: what moving averages of the towers say of a cell is predicted from what the towers say of it."""

from __future__ import annotations

from dataclasses import dataclass

from bouba.batch import picked
from bouba.nn.by_view import ByView
from bouba.terms.rows import averaged, matched
from bouba.terms.sim_siam import predicted_cosine, predictors, spread
from bouba.terms.term import Needs, Parts, Space, Term


@dataclass(frozen=True)
class BYOL(Term):
    """What slow towers say of a cell is predicted from what the towers say of it after other random changes.

        L = 1/|V| sum over views v of  D(z_v, t_v) + D(twin_v, t_v),   D = predicted_cosine, with a predictor h_v
        t_v by moving averages of the towers, after a third random change

    Use it instead of SimSiam, whose neighbour it is, where training is long: targets that move slowly are steadier, and
    cost one more pass without gradients. VICReg and NTXent do without a second set of towers.

    Args:
        decay: of the moving averages, in [0, 1): 0.99 follows a hundred steps, the paper's 0.996 suits thousands.
        hidden: width of each predictor, a quarter of the embedding's when None.
        views: which views; all when None.

    Logs `spread`, see SimSiam. A smaller loss does not mean a better model, so nothing is validated by it. The averages
    are saved with the model and go on when training is resumed; embeddings are those of the towers themselves.

    Reference: Grill et al. 2020, Bootstrap Your Own Latent, equations 1 to 3: of its |p/|p| - t/|t||^2 = 2 - 2 cos, one
    direction. Departures: both changes predict a third instead of each other; a fixed decay with a warm-up;
    embeddings are standardised over the batch, see `predicted_cosine`; any kind of view, masked missing cells.

    >>> 0.5 * BYOL(decay=0.996)
    0.5 * BYOL(decay=0.996, hidden=None, views=None)
    """

    decay: float = 0.99
    hidden: int | None = None
    views: tuple[str, ...] | None = None

    def needs(self) -> Needs:
        return Needs(embeddings=self.views, twins=True, averaged=self.decay, validates=False)

    def state(self, space: Space) -> ByView:
        return predictors("BYOL", space, self.views, self.hidden)

    def loss(self, batch, state):
        costs, spreads = [], []
        for view, _, z, twin in matched("BYOL", batch, self.views, across=False, least=2):
            target = picked(batch.averaged[view], batch.rows_with(view))
            costs.append(sum(predicted_cosine(copy, target, state[view]) for copy in (z, twin)))
            spreads.append(spread(z))
        return averaged(costs), Parts(spread=averaged(spreads)) if spreads else Parts()  # type: ignore[arg-type]
