"""MultiVae's side. Its torchvision, from the registry, is built against another torch and cannot be imported here; what
MultiVae imports of it (transforms of its own data sets) is not used, so empty modules stand in."""

import sys
import tempfile
from types import ModuleType


class _Nothing(ModuleType):
    """Has whatever is imported from it, and does nothing."""

    def __init__(self, name):
        super().__init__(name)
        self.__path__ = []  # a package

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


for _name in ("", ".transforms", ".utils", ".datasets", ".datasets.utils", ".models"):
    sys.modules[f"torchvision{_name}"] = _Nothing(f"torchvision{_name}")

import torch  # noqa: E402
from multivae.data.datasets import MultimodalBaseDataset  # noqa: E402
from multivae.models import (  # noqa: E402
    MMVAE,
    MVAE,
    MVTCAE,
    MMVAEConfig,
    MoPoE,
    MoPoEConfig,
    MVAEConfig,
    MVTCAEConfig,
)
from multivae.trainers import BaseTrainer, BaseTrainerConfig  # noqa: E402
from pythae.models.base.base_utils import ModelOutput  # noqa: E402
from pythae.models.nn import BaseDecoder, BaseEncoder  # noqa: E402
from torch import nn  # noqa: E402


class _Encoder(BaseEncoder):
    def __init__(self, width, hidden, latent):
        super().__init__()
        self.latent_dim = latent
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU())
        self.last = nn.Linear(hidden, 2 * latent)

    def forward(self, x):
        mean, log_variance = self.last(self.layers(x)).chunk(2, 1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class _Decoder(BaseDecoder):
    def __init__(self, width, hidden, latent):
        super().__init__()
        self.latent_dim = latent
        self.layers = nn.Sequential(nn.Linear(latent, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, z):
        return ModelOutput(reconstruction=self.layers(z))


def _drawn(arrays, model, config, **options):
    """Train on rows with all views; each view drawn from each other for test rows, and all from nothing."""
    torch.set_num_threads(1)
    torch.manual_seed(int(arrays["seed"]))
    views, latent, hidden, epochs, batch, new = (int(n) for n in arrays["sizes"])
    names = [f"view{v}" for v in range(views)]
    means = {name: arrays[f"train_{name}"].mean(0) for name in names}
    scales = {name: arrays[f"train_{name}"].std(0).clip(1e-6) for name in names}
    train, test = (
        {name: torch.from_numpy((arrays[f"{part}_{name}"] - means[name]) / scales[name]) for name in names}
        for part in ("train", "test")
    )
    width = train[names[0]].shape[1]
    made = model(
        config(
            n_modalities=views,
            latent_dim=latent,
            input_dims=dict.fromkeys(names, (width,)),
            decoders_dist=dict.fromkeys(names, "laplace"),
            decoder_dist_params={name: {"scale": float(arrays["their_scale"])} for name in names},
            **options,
        ),
        encoders={name: _Encoder(width, hidden, latent) for name in names},
        decoders={name: _Decoder(width, hidden, latent) for name in names},
    )
    with tempfile.TemporaryDirectory() as folder:
        how = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            per_device_train_batch_size=batch,
            learning_rate=float(arrays["their_lr"]),
            scheduler_cls="CosineAnnealingLR",
            scheduler_params={"T_max": epochs},
            no_cuda=True,
            seed=int(arrays["seed"]),
        )
        BaseTrainer(made, MultimodalBaseDataset(train), training_config=how).train()
    made.eval()

    def shown(name, items):
        return items.reshape(-1, width).numpy() * scales[name] + means[name]

    answers: dict = {}
    with torch.no_grad():
        told = MultimodalBaseDataset(test)  # mopoe encodes all views, whichever it is conditioned on
        for source in names:
            found = made.predict(told, cond_mod=[source], gen_mod="all")
            answers |= {f"{source}_{to}": shown(to, found[to]) for to in names if to != source}
        found = made.decode(made.generate_from_prior(new))
        answers |= {f"none_{to}": shown(to, found[to]) for to in names}
    return answers


def mvae(arrays):
    """Wu and Goodman 2018."""
    return _drawn(arrays, MVAE, MVAEConfig, beta=float(arrays["beta"]), warmup=0)


def mmvae(arrays):
    """Shi et al. 2019, with Gaussians and one draw, as bouba's."""
    options = {"K": 1, "prior_and_posterior_dist": "normal", "learn_prior": False, "loss": "iwae_looser"}
    return _drawn(arrays, MMVAE, MMVAEConfig, beta=float(arrays["beta"]), **options)


def mopoe(arrays):
    """Sutter et al. 2021."""
    return _drawn(arrays, MoPoE, MoPoEConfig, beta=float(arrays["beta"]))


def mvtcae(arrays):
    """Hwang et al. 2021."""
    return _drawn(arrays, MVTCAE, MVTCAEConfig, beta=float(arrays["beta"]), alpha=float(arrays["alpha"]))
