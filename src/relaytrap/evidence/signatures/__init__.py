"""Signatures of tools and products: one data file each, beside the vocabulary they are written in.

A signature is a list of signs. Each sign names a feature of the message, the classes of it that speak for the tool and
a weight; the sum decides. The User-Agent is one weak sign among them. Products that others like to pose as also list
what is always true of the genuine one. Every file carries samples of our own making, which the tests read.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from relaytrap.evidence.vocabulary import Vocabulary, load_vocabulary

__all__ = ["HOSTILE_KINDS", "Genuine", "Sign", "Signature", "load_signatures"]

HOSTILE_KINDS: Final = frozenset({"scanner", "password guesser", "toll fraud", "test"})
"""Kinds that no telephone or server is. "test" tools are honest in a laboratory and never expected by a honeypot."""

KINDS: Final = HOSTILE_KINDS | {"phone", "server", "gateway", "library"}

FREE_FEATURES: Final = frozenset({"has", "max_forwards", "order"})
"""Features whose values are no class of the vocabulary: field names, a number, an order checked by itself."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One feature that speaks for the tool when its class is among `classes`; rule and text as evidence shows them."""

    feature: str
    classes: frozenset[str]
    weight: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Genuine:
    """What the real product always (`classes`) or never (`never`) does; `text` says it in words."""

    feature: str
    classes: frozenset[str]
    never: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Signature:
    """One tool or product.

    name: as shown. family: what several tools have in common. kind: see KINDS. version: raised with every change of
    its rules. user_agents: User-Agent classes that are its own. samples: messages of our own making, LF for line ends.
    """

    name: str
    family: str
    kind: str
    what: str
    source: str
    version: int
    user_agents: frozenset[str]
    signs: tuple[Sign, ...]
    genuine: tuple[Genuine, ...]
    samples: tuple[str, ...]


@lru_cache(maxsize=1)
def load_signatures() -> tuple[Signature, ...]:
    """Every signature in the package, by name; ValueError when one uses a word that the vocabulary lacks."""
    vocabulary = load_vocabulary()
    folder = files("relaytrap.evidence").joinpath("signatures")
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    names = [entry for entry in entries if entry.name.endswith(".toml") and entry.name != "vocabulary.toml"]
    return tuple(
        _signature(entry.name, tomllib.loads(entry.read_text(encoding="utf-8")), vocabulary) for entry in names
    )


def _signature(file: str, document: Mapping[str, Any], vocabulary: Vocabulary) -> Signature:
    for row in [*document["sign"], *document.get("genuine", [])]:
        _check_words(file, row, vocabulary)
    if document["kind"] not in KINDS:
        raise ValueError(f"{file}: kind {document['kind']!r} is none of {sorted(KINDS)}")
    return Signature(
        name=document["name"],
        family=document["family"],
        kind=document["kind"],
        what=document["what"],
        source=document["source"],
        version=document.get("version", 1),
        user_agents=frozenset(document["user_agents"]),
        signs=tuple(_sign(document["name"], row) for row in document["sign"]),
        genuine=tuple(
            Genuine(row["feature"], frozenset(row.get("is", ())), frozenset(row.get("never", ())), row["text"])
            for row in document.get("genuine", [])
        ),
        samples=tuple(row["text"].lstrip("\n") for row in document["sample"]),
    )


def _sign(tool: str, row: Mapping[str, Any]) -> Sign:
    rule = f"tool.{tool.lower().replace(' ', '-')}.{row['feature']}"
    return Sign(
        row["feature"], frozenset(row["is"]), row["weight"], rule, f"{row['text'][0].upper()}{row['text'][1:]}."
    )


def _check_words(file: str, row: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    feature, words = row["feature"], {*row.get("is", ()), *row.get("never", ())}
    if feature == "order":
        known = frozenset(vocabulary.orders.values())
    elif feature == "sdp":
        known = vocabulary.sdp_names()
    elif feature in FREE_FEATURES:
        return
    elif feature in vocabulary.shapes:
        known = vocabulary.shapes[feature].names
    else:
        raise ValueError(f"{file}: unknown feature {feature!r}")
    if unknown := words - known:
        raise ValueError(f"{file}: {feature} has no class {sorted(unknown)}")
