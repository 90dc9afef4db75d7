"""From a configuration to training and validation pictures and to batches. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer
from torch import Tensor
from torch.nn import functional

from geomm_engine.contract import ErrorCode
from geomm_engine.errors import WordsError
from geomm_engine.training import blue_marble, clouds, drawn, sentinel2_world
from geomm_engine.training.absent_words import read_absent_words
from geomm_engine.training.augmentation import crop, ground_jitter, mix, radiometry
from geomm_engine.training.captions import SHOWS, SHOWS_NOT, UNSURE, Captions, read_captions
from geomm_engine.training.config import (
    CLOUDS,
    DRAWN,
    DRAWN_FAR,
    DRAWN_NEAR,
    EARTH_MONTHS,
    EARTH_TILES,
    OF_PHRASES,
    SQUARES,
    WORLD,
    ContrastiveConfig,
    PictureSource,
)
from geomm_engine.training.drawing.far import FAR
from geomm_engine.training.drawing.near import NEAR
from geomm_engine.training.drawing.places import draw_places, grounds_of
from geomm_engine.training.phrases import PhraseBatch, Phrases, read_phrases
from geomm_engine.training.pictures import PictureSet, Pyramid, pyramid, read_zip, split
from geomm_engine.training.vocabulary import BYTES, build_tokenizer, read_merges

CLOUD_COUNT = 1500
PLACE_COUNT = 80
EARTH_COUNT = 2400
BARE_SHARE = 0.6
"""So many phrases are learned as they are, the others in a template."""


@dataclass(frozen=True)
class Batch:
    """Normalised images (n, band, h, w), their ground pixel (n,) and class (n,); tokens (n, t) of the captions.

    ``relation`` (image, text) and ``shows`` (text, class) hold 1, 0 and −1; in ``relation`` also shares, where a picture is
    mixed: ``other_labels`` (n,) are the classes mixed in, ``own_share`` (n,) what is left of its own. ``phrases`` are learned
    beside the pictures, none of which they speak of.
    """

    images: Tensor
    gsd_m: Tensor
    labels: Tensor
    tokens: Tensor
    relation: Tensor
    shows: Tensor
    other_labels: Tensor
    own_share: Tensor
    phrases: PhraseBatch | None = None


def load_pictures(source: PictureSource, data: Path, seed: int, known: Sequence[PictureSet] = ()) -> PictureSet:
    """The pictures of one set, read or drawn; drawn places stand on ground of ``known`` ones.

    Raises:
        EngineError: a file cannot be read, or ``known`` lacks a set that is drawn on.
    """
    if source.file == CLOUDS:
        return clouds.draw_clouds(source.name, source.gsd_m, source.size_px, CLOUD_COUNT, seed)
    if source.file == EARTH_TILES:
        return blue_marble.read_tiles(source.name, data)
    if source.file == EARTH_MONTHS:
        return blue_marble.draw_months(source.name, data, EARTH_COUNT, seed)
    if source.file == WORLD:
        return sentinel2_world.read_patches(source.name, data)
    if source.file == SQUARES:
        return sentinel2_world.read_squares(source.name, data)
    if source.file in (DRAWN_NEAR, DRAWN_FAR):
        painters = NEAR if source.file == DRAWN_NEAR else FAR
        return draw_places(source.name, source.gsd_m, source.size_px, PLACE_COUNT, seed, grounds_of(known), painters)
    if source.file == DRAWN:
        return drawn.draw(source.name, source.gsd_m, source.size_px, 160, seed)
    return read_zip(data / source.file, source.name, source.gsd_m, source.size_px)


def _without(pictures: PictureSet, unseen: tuple[str, ...]) -> PictureSet:
    """The set without the pictures of these classes; the classes keep their numbers."""
    labels = [label for label, name in enumerate(pictures.classes) if name in unseen]
    return pictures.subset(np.flatnonzero(~np.isin(pictures.labels, labels))) if labels else pictures


def load_tokenizer(config: ContrastiveConfig, data: Path, phrases: Phrases | None = None) -> Tokenizer:
    """The tokenizer that the vocabulary of the configuration describes; ``phrases`` may hold its merges.

    Raises:
        WordsError: the phrases hold no merges, or there are not as many tokens as the network has.
    """
    file, count = config.vocabulary.merges_file, config.vocabulary.merges
    counts: Sequence[int] = ()
    if file == OF_PHRASES:
        if phrases is None or not phrases.merges:
            raise WordsError(
                ErrorCode.CLASS_LIST_INVALID,
                "The vocabulary is to be that of the phrases, but no phrase file of the recipe holds merges.",
                "Name one that does, such as phrases_minilm.npz.",
            )
        merges = list(phrases.merges[:count])
        counts = phrases.counts[: BYTES + count]
    else:
        merges = read_merges(data / file, count) if file else []
    tokenizer = build_tokenizer(merges, config.network.text.context_length, counts)
    if tokenizer.get_vocab_size() != config.network.text.vocabulary:
        raise WordsError(
            ErrorCode.CLASS_LIST_INVALID,
            f"The vocabulary has {tokenizer.get_vocab_size()} tokens, the network {config.network.text.vocabulary}.",
            "Give both the same number in the configuration.",
        )
    return tokenizer


class Lessons:
    """Training and validation pictures with their captions; draws batches.

    Raises:
        WordsError: a class of the pictures has no caption.
    """

    def __init__(self, config: ContrastiveConfig, data: Path) -> None:
        self.config = config
        self.captions: Captions = read_captions(Path(__file__).parent / config.captions)
        self.phrases: Phrases | None = None
        if config.phrases.files:
            files = [Path(__file__).parent / name for name in config.phrases.files]
            self.phrases = read_phrases(files, has_captions=config.phrases.has_captions)
        self.tokenizer = load_tokenizer(config, data, self.phrases)
        training: list[PictureSet] = []
        self.validation: list[PictureSet] = []
        for source in config.pictures:
            pictures = load_pictures(source, data, config.split_seed, training)
            parts = split(pictures, config.validation_share, config.split_seed)
            training.append(_without(parts[0], config.unseen))
            self.validation.append(parts[1])
        self._draw_from(training)
        self._prepare_relation()
        self.absent = self.captions.absent
        if config.absent_words_file:
            self.absent += read_absent_words(data / config.absent_words_file, self.captions)
        if self.phrases is not None:
            self._check_phrases(self.phrases)
        self._encoded: dict[str, list[int]] = {}
        self._mean = torch.tensor(config.normalisation.mean).view(1, -1, 1, 1)
        self._std = torch.tensor(config.normalisation.std).view(1, -1, 1, 1)

    def without(self, unseen: tuple[str, ...]) -> Lessons:
        """The same lessons, but that these classes leave training too: their pictures, and every caption of theirs alone."""
        lessons = copy(self)
        lessons.config = replace(self.config, unseen=(*self.config.unseen, *unseen))
        lessons._encoded = {}
        lessons._draw_from([_without(item, unseen) for item in self.training])
        return lessons

    def seeded(self, seed: int) -> Lessons:
        """The same lessons for a run with this seed."""
        lessons = copy(self)
        lessons.config = replace(self.config, seed=seed)
        return lessons

    @property
    def measured_places(self) -> list[int]:
        """Numbers of the sets that count."""
        return [place for place, source in enumerate(self.config.pictures) if source.is_measured]

    def _draw_from(self, training: list[PictureSet]) -> None:
        self.training = training
        self._pyramids: list[Pyramid] = [pyramid(item) for item in training]
        self._rows = [[np.flatnonzero(item.labels == label) for label in range(len(item.classes))] for item in training]
        self._seen = [np.flatnonzero([len(rows) > 0 for rows in item]) for item in self._rows]

    def _prepare_relation(self) -> None:
        classes = [name for item in self.training for name in item.classes]
        missing = [name for name in classes if name not in self.captions.classes]
        if missing:
            raise WordsError(
                ErrorCode.CLASS_LIST_INVALID,
                f"The captions do not know the classes {missing}.",
                "Add them to the caption file.",
            )
        self.classes = tuple(classes)
        self.relation = self.captions.relation(classes)
        groups = [source.group or source.name for source in self.config.pictures]
        names = sorted(set(groups))
        set_of = np.array(
            [names.index(group) for group, item in zip(groups, self.training, strict=True) for _ in item.classes]
        )
        sees = np.stack(
            [(self.relation[:, set_of == place] == SHOWS).any(axis=1) for place in range(len(names))], axis=1
        )
        # (concept, class): not shown, but the class's set shows this concept nowhere, so nobody looked for it there.
        self.set_of_class = torch.from_numpy(set_of)
        self._is_unseen = (self.relation == SHOWS_NOT) & ~sees[:, set_of]
        shares = np.array([item.share for item in self.captions.concept])
        weights = (self.relation == SHOWS) * shares[:, None]
        self._concept_chance = weights / weights.sum(axis=0, keepdims=True)

    def tokens(self, texts: list[str]) -> Tensor:
        """(n, t) int64, t the longest of these texts.

        Raises:
            WordsError: a text is longer than the context.
        """
        for text in texts:
            if text not in self._encoded:
                encoded = self.tokenizer.encode(text)
                if len(encoded.ids) > self.config.network.text.context_length:
                    raise WordsError(ErrorCode.TEXT_TOO_LONG, f"The caption “{text}” is too long.", "Shorten it.")
                self._encoded[text] = _row(encoded)
        return _padded([self._encoded[text] for text in texts])

    def normalise(self, images: Tensor) -> Tensor:
        """Display values 0–1 → what the tower sees."""
        return (images - self._mean) / self._std

    def batch(self, random: np.random.Generator, *, is_in_natural_light: bool = False) -> Batch:
        """One batch, balanced over the classes of each set; one caption for every picture."""
        config = self.config
        jitter = config.jitter
        if is_in_natural_light:
            jitter = replace(jitter, low_sun_share=0.0, tint_share=0.0)
        shares = np.array([item.share for item in config.sizes])
        size = config.sizes[int(random.choice(len(shares), p=shares / shares.sum()))]
        parts, grounds, labels, sets = [], [], [], []
        first_class = 0
        for place, count in enumerate(self._counts(size.batch)):
            own = random.choice(self._seen[place], count)
            rows = np.array([random.choice(self._rows[place][label]) for label in own], dtype=np.int64)
            images, gsd_m = crop(self._pyramids[place], rows, size.px, size.gsd_m[config.pictures[place].name], random)
            is_mapped = config.pictures[place].is_never_tinted
            parts.append(radiometry(images, replace(jitter, tint_share=0.0) if is_mapped else jitter, random))
            grounds.append(gsd_m)
            labels.append(own + first_class)
            sets.append(np.full(count, place))
            first_class += len(self.training[place].classes)
        images = self.normalise(torch.cat(parts))
        gsd_m = ground_jitter(
            torch.cat(grounds),
            config.gsd_jitter_octaves,
            random,
            lie_share=config.gsd_lie_share,
            lie_octaves=config.gsd_lie_octaves,
        )
        images, mixed = mix(images, np.concatenate(sets), config.mix_share, random)
        label = np.concatenate(labels)
        other = label[mixed.partner]
        return self._told(images, gsd_m, label, other, mixed.share, random)

    def retold(self, batch: Batch, random: np.random.Generator) -> Batch:
        """The pictures of this batch, the very same tensor, with other captions."""
        labels, others = batch.labels.numpy(), batch.other_labels.numpy()
        return self._told(batch.images, batch.gsd_m, labels, others, batch.own_share, random)

    def _told(
        self,
        images: Tensor,
        gsd_m: Tensor,
        labels: NDArray[np.int64],
        others: NDArray[np.int64],
        own_share: Tensor,
        random: np.random.Generator,
    ) -> Batch:
        """These pictures with a caption each, absent words and phrases."""
        config = self.config
        concepts = np.array([random.choice(len(self.relation), p=self._concept_chance[:, item]) for item in labels])
        texts = [self.captions.caption(int(concept), random) for concept in concepts]
        mine, theirs = self._relation_of(concepts, labels, random), self._relation_of(concepts, others, random)
        share = own_share.unsqueeze(1)
        is_unsure = (mine < 0) | ((theirs < 0) & (share < 1))
        relation = torch.where(is_unsure, float(UNSURE), share * mine + (1 - share) * theirs)
        shows = torch.from_numpy(np.where(self._is_unseen, UNSURE, self.relation)[concepts])
        absent = [
            self.captions.in_template(str(random.choice(self.absent)), random) for _ in range(config.absent_captions)
        ]
        relation = functional.pad(relation, (0, len(absent)), value=SHOWS_NOT)
        shows = functional.pad(shows, (0, 0, 0, len(absent)), value=SHOWS_NOT)
        tokens = self.tokens(texts + absent)
        labels_of = torch.from_numpy(labels), torch.from_numpy(others)
        phrases = self.phrase_batch(config.phrases.beside, random) if self.phrases and config.phrases.beside else None
        return Batch(images, gsd_m, labels_of[0], tokens, relation, shows, labels_of[1], own_share, phrases)

    def phrase_batch(self, count: int, random: np.random.Generator) -> PhraseBatch:
        """So many phrases, bare or in a template, which changes nothing of what they mean."""
        if self.phrases is None:
            raise ValueError("This recipe teaches no phrases.")
        rows = self.phrases.draw(count, random)
        texts = [self.phrases.texts[row] for row in rows]
        is_bare = random.random(count) < BARE_SHARE
        said = [
            text if bare else self.captions.in_template(text, random) for text, bare in zip(texts, is_bare, strict=True)
        ]
        return PhraseBatch(_padded(self._rows_of(said)), torch.from_numpy(self.phrases.vectors[rows]))

    def _rows_of(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of texts that are too many to be remembered."""
        return [_row(item) for item in self.tokenizer.encode_batch(list(texts))]

    def _check_phrases(self, phrases: Phrases) -> None:
        """Refuse phrases that the longest template makes longer than the context."""
        template = max(self.captions.templates, key=lambda item: len(self._rows_of([item])[0]))
        lengths = [len(row) for row in self._rows_of(phrases.texts)]
        longest = phrases.texts[int(np.argmax(lengths))]
        if len(self.tokenizer.encode(template.format(longest)).ids) > self.config.network.text.context_length:
            raise WordsError(ErrorCode.TEXT_TOO_LONG, f"The phrase “{longest}” is too long.", "Shorten it.")

    def _counts(self, batch: int) -> list[int]:
        """Pictures of each set in a batch; the first set takes what rounding leaves."""
        shares = np.array([item.share for item in self.config.pictures])
        counts = np.floor(shares / shares.sum() * batch).astype(int)
        counts[0] = batch - int(counts[1:].sum())
        return [int(count) for count in counts]

    def _relation_of(
        self, concepts: NDArray[np.int64], labels: NDArray[np.int64], random: np.random.Generator
    ) -> Tensor:
        relation = self.relation[concepts][:, labels].T.copy()
        unseen = self._is_unseen[concepts][:, labels].T
        relation[unseen & (random.random(unseen.shape) < self.config.cross_set_unsure)] = UNSURE
        return torch.from_numpy(relation)


def _row(encoded: Encoding) -> list[int]:
    """The tokens of a text without padding."""
    return list(encoded.ids[: sum(encoded.attention_mask)])


def _padded(rows: Sequence[list[int]]) -> Tensor:
    """(n, t) int64, t the longest of these rows."""
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows], dtype=torch.int64)
