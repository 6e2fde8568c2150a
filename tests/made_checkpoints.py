"""Tiny random checkpoints as save_pretrained writes them, and what transformers itself makes of some cells."""

import numpy as np
import torch
import transformers
from PIL import Image

TEXTS = ["a red apple", "apple", "the red ox and the apple", "ox", "red red ox", "a apple and a ox"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "apple", "the", "ox", "and"]
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def pictures(n=6, seed=0):
    random = np.random.default_rng(seed)
    return [Image.fromarray(random.integers(0, 255, (20 + 3 * i, 31, 3), np.uint8)) for i in range(n)]


def sounds(n=6, seed=0):
    """At 16 kHz; the first two of one length."""
    random = np.random.default_rng(seed)
    return [(random.normal(size=4000 + 700 * max(0, i - 1)).astype(np.float32) / 9, 16_000) for i in range(n)]


def write_tokenizer(folder, pad="[PAD]"):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=pad, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder)
    return fast


def _saved(folder, model, *others):
    for each in (model, *others):
        each.save_pretrained(folder)
    return model.eval()


def bert(folder):
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **SMALL)
    model, tokenizer = _saved(folder, transformers.BertModel(config)), write_tokenizer(folder)

    def by_hand(texts):
        rows = []
        for text in texts:
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            rows.append(sum(states) / len(states))
        return torch.stack(rows)

    return "text", TEXTS, by_hand


def resnet(folder):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 28})
    model = transformers.ResNetModel(config)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean, std=0.3)
    model = _saved(folder, model, processor)
    return "image", pictures(), lambda cells: _pooled(model, processor, cells)


def vit(folder):
    processor = transformers.ViTImageProcessorPil(size={"height": 16, "width": 16})
    model = _saved(folder, transformers.ViTModel(_vit()), processor)
    return "image", pictures(), lambda cells: _pooled(model, processor, cells)


def vit_classifier(folder):
    """Its pooler has no weights: the first state is taken."""
    processor = transformers.ViTImageProcessorPil(size={"height": 16, "width": 16})
    model = _saved(folder, transformers.ViTForImageClassification(_vit()), processor)
    pixels = lambda cells: processor(cells, return_tensors="pt")["pixel_values"]  # noqa: E731
    return "image", pictures(), lambda cells: model.vit(pixels(cells)).last_hidden_state[:, 0]


def _vit():
    return transformers.ViTConfig(image_size=16, patch_size=8, **SMALL)


def _pooled(model, processor, cells):
    rows = [model(**processor(cell, return_tensors="pt")).pooler_output.flatten() for cell in cells]
    return torch.stack(rows)


def _clip(folder):
    text = SMALL | {"vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3, "bos_token_id": 2}
    vision = SMALL | {"image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return _saved(folder, transformers.CLIPModel(config), processor), processor, write_tokenizer(folder)


def clip_image(folder):
    model, processor, _ = _clip(folder)
    ask = model.get_image_features
    return "image", pictures(), lambda cells: ask(**processor(cells, return_tensors="pt")).pooler_output


def clip_text(folder):
    model, _, tokenizer = _clip(folder)

    def by_hand(texts):
        rows = [tokenizer(text, return_tensors="pt", return_token_type_ids=False) for text in texts]
        return torch.cat([model.get_text_features(**row).pooler_output for row in rows])

    return "text", TEXTS, by_hand


def wav2vec2(folder):
    small = SMALL | {"conv_dim": (8, 8), "conv_stride": (20, 8), "conv_kernel": (20, 8)}
    small |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}
    config = transformers.Wav2Vec2Config(**small)
    extractor = transformers.Wav2Vec2FeatureExtractor()
    model = _saved(folder, transformers.Wav2Vec2Model(config), extractor)

    def by_hand(cells):
        rows = [extractor(samples, sampling_rate=16_000, return_tensors="pt") for samples, _ in cells]
        return torch.cat([model(**row).last_hidden_state.mean(1) for row in rows])

    return "audio", sounds(), by_hand


def ast(folder):
    config = transformers.ASTConfig(num_mel_bins=64, max_length=48, patch_size=16, **SMALL)
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=64, max_length=48)
    model = _saved(folder, transformers.ASTModel(config), extractor)

    def by_hand(cells):
        rows = [extractor(samples, sampling_rate=16_000, return_tensors="pt") for samples, _ in cells]
        return torch.cat([model(**row).pooler_output for row in rows])

    return "audio", sounds(), by_hand


def roberta(folder):
    """Positions are counted from behind the padding token, which is not 0."""
    config = transformers.RobertaConfig(vocab_size=len(WORDS), max_position_embeddings=20, pad_token_id=1, **SMALL)
    model, tokenizer = _saved(folder, transformers.RobertaModel(config)), write_tokenizer(folder, pad="[UNK]")
    rows = lambda texts: [model(**tokenizer(t, return_tensors="pt")).last_hidden_state.mean(1) for t in texts]  # noqa: E731
    return "text", TEXTS, lambda texts: torch.cat(rows(texts))


def distilbert(folder):
    small = {"dim": 16, "hidden_dim": 16, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 16}
    model = _saved(folder, transformers.DistilBertModel(transformers.DistilBertConfig(vocab_size=len(WORDS), **small)))
    tokenizer = write_tokenizer(folder)
    ask = lambda text: model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False))  # noqa: E731
    return "text", TEXTS, lambda texts: torch.cat([ask(text).last_hidden_state.mean(1) for text in texts])


def swin(folder):
    config = transformers.SwinConfig(
        image_size=16, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    processor = transformers.ViTImageProcessorPil(size={"height": 16, "width": 16})
    model = _saved(folder, transformers.SwinModel(config), processor)
    return "image", pictures(), lambda cells: _pooled(model, processor, cells)


def efficientnet(folder):
    config = transformers.EfficientNetConfig(width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=128)
    processor = transformers.EfficientNetImageProcessorPil(size={"height": 32, "width": 32})
    model = _saved(folder, transformers.EfficientNetModel(config), processor)
    return "image", pictures(), lambda cells: _pooled(model, processor, cells)


def hubert(folder):
    """Normalises each channel over time: it would hear padding."""
    small = SMALL | {"conv_dim": (8, 8), "conv_stride": (20, 8), "conv_kernel": (20, 8), "feat_extract_norm": "group"}
    small |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False)
    model = _saved(folder, transformers.HubertModel(transformers.HubertConfig(**small)), extractor)
    ask = lambda samples: model(**extractor(samples, sampling_rate=16_000, return_tensors="pt"))  # noqa: E731
    rows = lambda cells: [ask(samples).last_hidden_state.mean(1) for samples, _ in cells]  # noqa: E731
    return "audio", sounds(), lambda cells: torch.cat(rows(cells))


def _chinese_clip(folder):
    text = SMALL | {"vocab_size": len(WORDS), "max_position_embeddings": 16}
    vision = SMALL | {"image_size": 16, "patch_size": 8}
    config = transformers.ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    processor = transformers.ChineseCLIPImageProcessorPil(size={"height": 16, "width": 16}, do_center_crop=False)
    return _saved(folder, transformers.ChineseCLIPModel(config), processor), processor, write_tokenizer(folder)


def chinese_clip_image(folder):
    model, processor, _ = _chinese_clip(folder)
    ask = model.get_image_features
    return "image", pictures(), lambda cells: ask(**processor(cells, return_tensors="pt")).pooler_output


def chinese_clip_text(folder):
    model, _, tokenizer = _chinese_clip(folder)
    ask = lambda text: model.get_text_features(**tokenizer(text, return_tensors="pt")).pooler_output  # noqa: E731
    return "text", TEXTS, lambda texts: torch.cat([ask(text) for text in texts])


MAKERS = (bert, resnet, vit, vit_classifier, clip_image, clip_text, wav2vec2, ast)
OTHERS = (roberta, distilbert, swin, efficientnet, hubert, chinese_clip_image, chinese_clip_text)
