"""The text tower: a small transformer over byte-pair tokens. Knows token numbers, not words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class TextTowerSettings:
    """The end mark is the largest token number; what follows it is padding of any kind."""

    dim: int = 192
    vocabulary: int = 8706
    context_length: int = 32
    embedding_width: int = 64
    width: int = 128
    layers: int = 2
    heads: int = 4


class Layer(nn.Module):
    """Attention and feed-forward, each behind a layer norm, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, words: Tensor, is_padding: Tensor) -> Tensor:
        """(n, t, width), (n, t) bool → (n, t, width); padding is given exactly no attention."""
        n, t, width = words.shape
        joined = self.query_key_value(self.attention_norm(words)).reshape(n, t, 3, self.heads, width // self.heads)
        query, key, value = joined.permute(2, 0, 3, 1, 4).unbind(0)
        score = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        score = score.masked_fill(is_padding[:, None, None, :], float("-inf"))
        heard = (torch.softmax(score, dim=-1) @ value).transpose(1, 2).reshape(n, t, width)
        words = words + self.attention_out(heard)
        result: Tensor = words + self.inner(self.inner_norm(words))
        return result


class TextTower(nn.Module):
    """Tokens with start and end marks → one vector, not yet of unit length."""

    def __init__(self, settings: TextTowerSettings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(settings.vocabulary, settings.embedding_width)
        self.widen = nn.Linear(settings.embedding_width, settings.width)
        self.position = nn.Parameter(torch.randn(settings.context_length, settings.width) * 0.01)
        self.layers = nn.ModuleList([Layer(settings.width, settings.heads) for _ in range(settings.layers)])
        self.norm = nn.LayerNorm(settings.width)
        self.head = nn.Linear(settings.width, settings.dim)
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t) int64, t ≤ context_length → (n, dim)."""
        vector: Tensor = self.head(self.meaning(tokens))
        return vector

    def meaning(self, tokens: Tensor) -> Tensor:
        """(n, t) int64 → (n, width): the mean over the words up to the end mark, before the head."""
        t = tokens.shape[1]
        end = tokens.argmax(dim=1, keepdim=True)
        is_padding = torch.arange(t, device=tokens.device).unsqueeze(0) > end
        words = functional.gelu(self.widen(self.embedding(tokens))) + self.position[:t]
        for layer in self.layers:
            words = layer(words, is_padding)
        kept = (~is_padding).unsqueeze(2).to(words.dtype)
        mean: Tensor = (self.norm(words) * kept).sum(dim=1) / kept.sum(dim=1)
        return mean
