"""A tokenizer that knows the words of the world's captions, one token a word."""

from __future__ import annotations

import re
from typing import Any

from brainreel.world.captions import PHRASES, TEMPLATES

PAD, END, UNKNOWN, START = "<pad>", "</s>", "<unk>", "<s>"
# The longest caption has 16 words, one comma or colon each way and an end.
TOKENS = 24


def vocabulary() -> list[str]:
    """Special tokens, punctuation, then every word that a caption can hold, in alphabetical order."""
    phrases = [phrase for options in PHRASES.values() for said in options.values() for phrase in said]
    words = {word for text in (*TEMPLATES, *phrases) for word in re.findall(r"[a-z]+", re.sub(r"{\w+}", "", text))}
    return [PAD, END, UNKNOWN, START, ",", ":", *sorted(words | {"an"})]


def tokenizer(*, start: bool) -> Any:
    """A fast transformers tokenizer; ``start``: whether a start token opens the sentence, as CLIP wants."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: index for index, word in enumerate(vocabulary())}
    inner = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    pattern = f"{START} $A {END}" if start else f"$A {END}"
    inner.post_processor = processors.TemplateProcessing(
        single=pattern, special_tokens=[(token, ids[token]) for token in (START, END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        **({"bos_token": START} if start else {}),
        model_max_length=TOKENS,
    )
