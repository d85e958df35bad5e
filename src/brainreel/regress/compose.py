"""Saying an embedding in a sentence that nobody wrote: phrases of training captions exchanged until none fits better.

The nearest training caption tells what some training clip showed. Where test clips combine what training clips never
did together, every training caption is wrong somewhere. As Tang et al. (2023, Nature Neuroscience 26, 858) search among
continuations of a language model for the words that fit a brain best, here a search goes through the sentences that
training captions can be rewritten to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

# Phrases of at most so many words are exchanged for one another.
PHRASE = 3
# Exchanges after which a search ends in any case; four to eight are usual.
_LONGEST = 40
# Rarer words count as unknown: solving for the words' vectors takes time that grows with the cube of their number.
_WORDS = 6000
_PENALTY = 1.0
# Places whose phrases' vectors are kept, and answers: captions and how sure they are ask for the same ones.
_KEPT, _ANSWERS = 256, 4096

Phrase = tuple[str, ...]
Neighbours = tuple[str | None, str | None]


class Composer:
    """Composes captions for embeddings.

    A caption's vector is taken to be the sum of its words' (ridge regression from word counts to the training captions'
    vectors), so that no encoder is needed to score a sentence. A phrase may be exchanged for another

    * that some training caption has between the same two words,
    * if any three words in a row that this makes stand so in some training caption,
    * and if each of its words stands somewhere in a training caption with every word that remains: nothing is day and
      night at once, and nothing is said twice because that weighs more.

    Args:
        captions: Of training clips, each once.
        values: Their vectors in the space of stage 1's targets.
        centre: The mean target of the training clips, which embeddings are centred by.
    """

    def __init__(
        self,
        captions: Sequence[str],
        values: Float[np.ndarray, "captions dim"],
        centre: Float[np.ndarray, " dim"],
    ) -> None:
        self._sentences: list[Phrase] = [tuple(caption.split()) for caption in captions]
        frequent = Counter(_key(word) for sentence in self._sentences for word in sentence).most_common(_WORDS)
        # The last column is that of all other words.
        self._column = {word: column for column, (word, _) in enumerate(frequent)}
        counts = self._counts()
        words, origin = _fit_words(counts[:, :-1], values.astype(np.float64))
        self._words = np.concatenate([words, np.zeros((1, words.shape[1]))])
        self._origin = origin - centre
        there = csr_array((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)
        self._together = (there.T @ there).toarray() > 0
        np.fill_diagonal(self._together, counts.max(axis=0).toarray() > 1)
        self._phrases = _phrases(self._sentences)
        self._threes = {three for sentence in self._sentences for three in _threes(sentence, 0, len(sentence))}
        self._between = lru_cache(maxsize=_KEPT)(self._found)
        self._answer = lru_cache(maxsize=_ANSWERS)(self._search)

    def compose(self, embedding: Float[np.ndarray, " dim"], starts: Sequence[int]) -> tuple[str, float]:
        """The best caption that is reached from some training captions, and its cosine by its words' vectors.

        Args:
            embedding: Centred.
            starts: Training captions to begin with, at least one.
        """
        return self._answer(embedding.astype(np.float64).tobytes(), tuple(starts))

    def _search(self, values: bytes, starts: tuple[int, ...]) -> tuple[str, float]:
        embedding = np.frombuffer(values)
        direction = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        reached = [self._climb(self._sentences[start], direction) for start in starts]
        sentence, cosine = max(reached, key=lambda end: end[1])
        return " ".join(sentence), cosine

    def _climb(self, sentence: Phrase, direction: Float[np.ndarray, " dim"]) -> tuple[Phrase, float]:
        """Make the exchange that helps most, until none does."""
        vector = self._origin + self._sum(sentence)
        best = float(_cosines(vector[None], direction)[0])
        for _ in range(_LONGEST):
            better, improved = None, best + 1e-9
            for start, end in _places(sentence):
                neighbours = _neighbours(sentence, start, end)
                # An exchange may have brought two words together that no training caption has around a phrase.
                if neighbours not in self._phrases:
                    continue
                phrases, vectors = self._between(neighbours)
                ends = vector - self._sum(sentence[start:end]) + vectors
                cosines = _cosines(ends, direction)
                for index in np.argsort(-cosines, kind="stable"):
                    if cosines[index] <= improved:
                        break
                    if self._fits(phrases[index], sentence[:start], sentence[end:]):
                        improved = float(cosines[index])
                        better = sentence[:start] + phrases[index] + sentence[end:], ends[index]
                        break
            if better is None:
                break
            (sentence, vector), best = better, improved
        return sentence, best

    def _fits(self, phrase: Phrase, before: Phrase, after: Phrase) -> bool:
        threes = _threes(before + phrase + after, len(before) - 1, len(before) + len(phrase) + 1)
        if not self._threes.issuperset(threes):
            return False
        return bool(self._together[np.ix_(self._columns(phrase), self._columns(before + after))].all())

    def _found(self, neighbours: Neighbours) -> tuple[list[Phrase], Float[np.ndarray, "phrases dim"]]:
        """What stands between two words, and its vectors."""
        phrases = self._phrases[neighbours]
        return phrases, np.stack([self._sum(phrase) for phrase in phrases])

    def _sum(self, phrase: Phrase) -> Float[np.ndarray, " dim"]:
        return self._words[self._columns(phrase)].sum(0)

    def _columns(self, phrase: Phrase) -> list[int]:
        return [self._column.get(_key(word), len(self._column)) for word in phrase]

    def _counts(self) -> csr_array:
        """How often each caption says each word."""
        rows = np.repeat(np.arange(len(self._sentences)), [len(sentence) for sentence in self._sentences])
        columns = np.array([column for sentence in self._sentences for column in self._columns(sentence)], int)
        shape = (len(self._sentences), len(self._column) + 1)
        return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _fit_words(
    counts: csr_array, values: Float[np.ndarray, "captions dim"]
) -> tuple[Float[np.ndarray, "words dim"], Float[np.ndarray, " dim"]]:
    """Ridge regression with an intercept."""
    middle, mean = counts.mean(axis=0), values.mean(0)
    gram = (counts.T @ counts).toarray() - len(values) * np.outer(middle, middle)
    weights = np.linalg.solve(gram + _PENALTY * np.eye(len(gram)), counts.T @ (values - mean))
    return weights, mean - middle @ weights


def _phrases(sentences: Sequence[Phrase]) -> dict[Neighbours, list[Phrase]]:
    """The words before and after → phrases that stand between them somewhere, each once, in order of appearance."""
    found: dict[Neighbours, dict[Phrase, None]] = {}
    for sentence in sentences:
        for start, end in _places(sentence):
            found.setdefault(_neighbours(sentence, start, end), {})[sentence[start:end]] = None
    return {neighbours: list(phrases) for neighbours, phrases in found.items()}


def _places(sentence: Phrase) -> list[tuple[int, int]]:
    """Where phrases begin and end."""
    words = len(sentence)
    return [(start, end) for start in range(words) for end in range(start + 1, min(start + PHRASE, words) + 1)]


def _neighbours(sentence: Phrase, start: int, end: int) -> Neighbours:
    return sentence[start - 1] if start else None, sentence[end] if end < len(sentence) else None


def _threes(sentence: Phrase, start: int, end: int) -> list[tuple[str | None, ...]]:
    """Three words in a row around every word from start to end; None stands before the first and after the last."""
    padded = (None, *sentence, None)
    return [padded[word : word + 3] for word in range(max(start, 0), min(end, len(sentence)))]


def _key(word: str) -> str:
    """A word without its punctuation and capitals."""
    return re.sub(r"[^\w'-]", "", word.lower())


def _cosines(
    vectors: Float[np.ndarray, "rows dim"], direction: Float[np.ndarray, " dim"]
) -> Float[np.ndarray, " rows"]:
    return vectors @ direction / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
