"""Video encoder: frames through any image encoder, pooled by explicit loops; order told where it can be."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import film
from PIL import Image, ImageDraw

import bouba
from bouba import Learner, SimCLR, Views, read
from bouba.data.augment import Augment
from bouba.data.video import video
from bouba.errors import UsageError
from bouba.terms import SupervisedContrastive
from bouba.towers import MLP, ConvNet, Encoder, EncoderSpec, Frames, Pretrained

POOLS = ("mean", "attention", "lstm")
STILL = ConvNet(size=8, channels=2, augment=None)


def clip(random, *, grows=True, n=8, side=24):
    """A disc that grows, from and to a size of its own; backwards it shrinks."""
    small, large = random.uniform(1, 3), random.uniform(7, 10)
    x, y = random.uniform(10, 14, 2)
    colour = tuple(random.integers(0, 160, 3).tolist())
    pictures = []
    for radius in np.linspace(small, large, n):
        picture = Image.new("RGB", (side, side), "white")
        ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        pictures.append(picture)
    return pictures if grows else pictures[::-1]


def written(pictures, form="WEBP"):
    file = io.BytesIO()
    pictures[0].save(file, form, save_all=True, append_images=pictures[1:], duration=40)
    return file.getvalue()


def built(pool="mean", *, frames=5, image=STILL, **how):
    torch.manual_seed(0)
    spec = Frames(image, frames=frames, pool=pool, width=8, **how).on("video")
    return spec.build(spec.learn([[Image.new("RGB", (8, 8))]])).eval()


def some_clips():
    random = np.random.default_rng(0)
    return [clip(random, n=n) for n in (5, 2, 9, 1)]


def explicit(encoder, pictures):
    """Pooled features of one clip, frame by frame."""
    f = [encoder.image(**encoder.image.prepare([picture]))[0] for picture in pictures]
    pool = encoder.pool
    if type(pool).__name__ == "_Mean":
        return sum(f) / len(f)
    if type(pool).__name__ == "_Recurrent":
        return torch.cat([last_state(pool.lstm, f, ""), last_state(pool.lstm, f[::-1], "_reverse")])
    heads = []
    for head in range(4):
        scores = [pool.score.weight[head] @ torch.tanh(pool.key(f[t]) + pool.place.weight[t]) for t in range(len(f))]
        total = sum(torch.exp(s) for s in scores)
        heads.append(sum(torch.exp(s) / total * pool.value(f[t]).view(4, -1)[head] for t, s in enumerate(scores)))
    return torch.cat(heads)


def last_state(lstm, features, way):
    """One half of an LSTM, a cell at a time."""
    cell = torch.nn.LSTMCell(lstm.input_size, lstm.hidden_size)
    cell.load_state_dict({name: getattr(lstm, f"{name}_l0{way}") for name in cell.state_dict()})
    state = None
    for f in features:
        state = cell(f[None], state)
    return state[0][0]


@pytest.mark.parametrize("pool", POOLS)
def test_definition_of_pooling(pool):
    encoder = built(pool)
    clips = some_clips()
    with torch.no_grad():
        features = encoder(**encoder.prepare(clips))
        assert features.shape == (4, encoder.width)
        for pictures, row in zip(clips, features):
            torch.testing.assert_close(row, explicit(encoder, video(pictures, 5)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", POOLS)
def test_law_frames_that_are_not_there_are_never_read(pool):
    encoder = built(pool).train()  # BatchNorm would carry them into every other row
    inputs = encoder.prepare(some_clips())
    spoilt = {part: tensor.clone() for part, tensor in inputs.items()}
    for row, shown in enumerate(inputs["lengths"].tolist()):
        spoilt["pixels"][row, shown:] = 255
    assert not torch.equal(spoilt["pixels"], inputs["pixels"])
    torch.testing.assert_close(encoder(**spoilt), encoder(**inputs))
    torch.testing.assert_close(encoder.raw(spoilt), encoder.raw(inputs))


@pytest.mark.parametrize("pool", POOLS)
@given(order=st.permutations(range(4)))
@settings(max_examples=10, deadline=None)
def test_law_a_clip_does_not_see_its_batch(pool, order):
    encoder = built(pool)
    clips = some_clips()
    with torch.no_grad():
        features = encoder(**encoder.prepare(clips))
        mixed = encoder(**encoder.prepare([clips[i] for i in order]))
    torch.testing.assert_close(mixed, features[list(order)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pool", "sees"), [("mean", False), ("attention", True), ("lstm", True)])
def test_law_only_the_mean_is_blind_to_order(pool, sees):
    encoder = built(pool)
    pictures = clip(np.random.default_rng(0), n=5)
    with torch.no_grad():
        there, back = encoder(**encoder.prepare([pictures, pictures[::-1]]))
    assert torch.allclose(there, back, atol=1e-6) != sees


def test_law_all_frames_of_a_clip_change_alike_and_clips_apart():
    encoder = built(image=ConvNet(size=8, channels=2, augment=Augment()))
    still = [clip(np.random.default_rng(0), n=1) * 5] * 2
    torch.manual_seed(0)
    varied = encoder.vary(encoder.prepare(still))["pixels"]  # (2, 5, 3, 8, 8)
    assert varied.shape == (2, 5, 3, 8, 8)
    for step in range(1, 5):
        assert torch.equal(varied[:, step], varied[:, 0])
    assert not torch.allclose(varied[0], varied[1])
    assert not torch.allclose(encoder.vary(encoder.prepare(still))["pixels"], varied)  # the generator went on


def test_definition_of_what_a_decoder_gives_back():
    encoder = built()
    pictures = some_clips()[1]
    thumbnails = [encoder.image.raw(encoder.image.prepare([picture]))[0] for picture in pictures]
    [row] = encoder.raw(encoder.prepare([pictures]))
    torch.testing.assert_close(row, sum(thumbnails) / 2)
    assert len(row) == encoder.raw_width


def test_what_is_shown_of_a_clip_is_the_mean_of_its_frames_with_all_pixels():
    clips = some_clips()
    inputs = built().prepare(clips)
    whole = built().shown(inputs)
    few = Frames(image=ConvNet(size=16, channels=2, thumbnail=8, augment=None, components=1))
    image = ConvNet(size=16, channels=2, thumbnail=8, augment=None).build({})
    expected = [image.shown(image.prepare(video(clip, few.frames))).float().mean(0) for clip in clips]
    encoder = few.build(few.learn(clips))
    torch.testing.assert_close(encoder.shown(encoder.prepare(clips)).float(), torch.stack(expected), atol=0.5, rtol=0)
    assert whole.dtype == torch.uint8


class _Ready(Encoder):
    """Features that `prepare` computes, as a frozen network's are."""

    width = 3

    def __init__(self, shade):
        super().__init__()
        self.register_buffer("shade", torch.tensor(shade))

    def prepare(self, cells):
        return {"features": torch.tensor(np.array([np.asarray(c).mean((0, 1)) for c in cells])).float() - self.shade}

    def forward(self, features):
        return features


class _ReadySpec(EncoderSpec):
    kind = "image"
    started = 0

    def learn(self, cells, *, random_state=0):
        assert len(cells[:1]) == 1
        return {"shade": float(np.mean([np.asarray(cell).mean() for cell in cells]))}

    def build(self, learned):
        return _Ready(learned["shade"])

    def start(self, encoder):
        assert isinstance(encoder, _Ready)
        type(self).started += 1


def test_any_image_encoder_learns_is_built_and_started():
    spec = Frames(_ReadySpec(), frames=3, pool="mean").on("video")
    grey = lambda *values: [Image.new("RGB", (2, 2), (v,) * 3) for v in values]  # noqa: E731
    learned = spec.learn([grey(0, 10, 50), grey(30)])
    assert learned == {"shade": 20.0}  # of the middles, 10 and 30
    encoder = spec.build(learned)
    spec.start(encoder)
    assert _ReadySpec.started == 1
    assert encoder(**encoder.prepare([grey(0, 10, 50), grey(30)])).tolist() == [[0.0] * 3, [10.0] * 3]


def test_a_pretrained_network_sees_each_frame(tmp_path):
    checkpoints = pytest.importorskip("made_checkpoints")
    checkpoints.vit(tmp_path)
    encoder = built(image=Pretrained(str(tmp_path), cache=False))
    pictures = some_clips()[1]
    alone = encoder.image
    frame_by_frame = [alone(**alone.prepare([picture]))[0] for picture in pictures]
    [row] = encoder(**encoder.prepare([pictures]))
    torch.testing.assert_close(row, sum(frame_by_frame) / 2, rtol=1e-4, atol=1e-5)


def test_refusals():
    with pytest.raises(UsageError, match="no pool 'max'; there is 'attention', 'lstm', 'mean'"):
        Frames(pool="max")
    with pytest.raises(UsageError, match="frames is 1 or more and width a multiple of 4, got 0 and 128"):
        Frames(frames=0)
    with pytest.raises(UsageError, match="width a multiple of 4, got 8 and 6"):
        Frames(width=6)
    with pytest.raises(UsageError, match="Frames reads video"):
        Frames().on("image")
    with pytest.raises(UsageError, match="MLP reads vector"):
        Frames(MLP()).on("video")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """96 clips that grow or shrink, as WebP, GIF and MP4; one more breaks off and one is empty."""
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    for number in range(96):
        way = ("grow", "shrink")[number % 2]
        (folder / way).mkdir(exist_ok=True)
        pictures = clip(random, grows=way == "grow")
        form = ("webp", "gif", "mp4")[number // 2 % 3]
        file = film(pictures) if form == "mp4" else written(pictures, form.upper())
        (folder / way / f"{number:03d}.{form}").write_bytes(file)
    (folder / "grow" / "cut.gif").write_bytes(file[:50])
    (folder / "shrink" / "empty.mp4").touch()
    return folder


def nearest_class(z, labels, train):
    """Accuracy on the rows that are not in `train`, by the mean of each class."""
    means = {c: z[train & (labels == c)].mean(0) for c in sorted(set(labels))}
    said = np.array([max(means, key=lambda c: -((row - means[c]) ** 2).sum()) for row in z])
    return (said == labels)[~train].mean()


def test_recovery_a_folder_with_broken_clips_trains_and_order_is_told(folder, tmp_path):
    views = read(folder, ignore="name")
    assert views.modalities == {"video": "video"}
    assert len(views) == 96
    listed = {bad["value"].rsplit("/", 1)[-1] for bad in views.bad_rows if bad["value"]}
    assert listed == {"cut.gif", "empty.mp4"}
    labels, train = views.y["label"], np.arange(96) % 3 > 0
    right = {}
    for pool in POOLS:
        tower = Frames(ConvNet(size=12, channels=4, augment=None), frames=6, pool=pool, width=16)
        model = Learner({"video": tower}, SupervisedContrastive("label"), dim=8, epochs=15, batch_size=32, lr=5e-3)
        model.fit(views[train])
        right[pool] = nearest_class(model.embed(views)["video"], labels, train)
    assert right["mean"] < 0.75
    assert min(right["attention"], right["lstm"]) > 0.85
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    np.testing.assert_array_equal(again.embed(views)["video"], model.embed(views)["video"])


def test_default_towers_align_clips_with_texts_and_learn_alone():
    random = np.random.default_rng(0)
    ways = [i % 2 == 0 for i in range(12)]
    cells = [written(clip(random, grows=way)) if i else None for i, way in enumerate(ways)]
    texts = ["it grows" if way else "it shrinks" for way in ways]
    views = Views({"clip": cells, "said": texts}, kinds={"clip": "video", "said": "text"})
    model = bouba.CLIP(dim=4, epochs=1).fit(views)
    z = model.embed(views)
    assert z["clip"].shape == (12, 4)
    assert not z["clip"][0].any()
    assert np.isfinite(SimCLR(dim=4, epochs=1).fit(views.select("clip")[1:]).history_[-1]["loss"])
