"""The sets of questions: documents, what is asked, and which documents are right.

All written for this, before anything was tuned on them; no question is made of its document's own words, except for
names, which people do repeat. ``paraphrases.txt`` holds a document and a question a line, ``code.txt`` a piece of code
and two descriptions of it; the others are put together from lists, always the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from antiphon.knowledge.chunking import chunks

_HERE = Path(__file__).parent


class Document(msgspec.Struct, frozen=True):
    """One chunk, and the attributes of its file."""

    id: str
    text: str
    attributes: dict[str, Any] = {}


class Question(msgspec.Struct, frozen=True):
    """What is asked, and the ids of the documents that answer it."""

    text: str
    right: frozenset[str]
    filters: Any = None


class Set(msgspec.Struct, frozen=True):
    """A name, the documents and the questions."""

    name: str
    documents: list[Document]
    questions: list[Question]


def _list(text: str) -> list[str]:
    """Its parts: by commas, or by blanks where it has none."""
    return text.split("," if "," in text else None)


def _pairs() -> list[list[str]]:
    return [line.split(" | ") for line in (_HERE / "paraphrases.txt").read_text().splitlines()]


def paraphrases() -> Set:
    """Sentences of everyday life, asked for in other words."""
    documents = [Document(f"p{n}", text) for n, (text, _) in enumerate(_pairs())]
    questions = [Question(question, frozenset({f"p{n}"})) for n, (_, question) in enumerate(_pairs())]
    return Set("paraphrases", [*documents, *_others()], questions)


def code() -> Set:
    """Functions, asked for by what they are good for."""
    documents, questions = [], []
    for n, line in enumerate((_HERE / "code.txt").read_text().splitlines()):
        text, *asked = line.split(" | ")
        documents.append(Document(f"c{n}", text.replace("\\n", "\n")))
        questions += [Question(one, frozenset({f"c{n}"})) for one in asked]
    return Set("code", [*documents, *_others()], questions)


_FIRST = _list("Vel Kar Mor Tes Ber Lin Dra Sol Fen Hal Ori Pas Qui Rud Stel Tor Ulm Wes Yar Zan")
_LAST = _list("mora dine thal gard vik rosa beck stad wyn lund")
_WHO = _list("Ilse Brandt,Omar Haddad,Priya Nair,Jonas Weber,Lucía Ortega,Mei Tanaka,Piet de Vries,Anna Kowalska")
_WHAT = (
    ("precision scales for pharmacies", "weighing instruments for chemists"),
    ("sails for racing yachts", "canvas for sporting boats"),
    ("hearing aids", "devices for people who are hard of hearing"),
    ("greenhouse heaters", "equipment that keeps hothouses warm"),
    ("pipe organs", "church instruments with bellows"),
    ("diving helmets", "headgear for working under water"),
    ("board games", "family entertainment for rainy days"),
    ("roof tiles", "clay coverings for houses"),
)
_WHERE = _list("Lisbon Turku Graz Leeds Malmo Bilbao Ostrava Tartu")


def _companies() -> list[tuple[str, str, int, str, tuple[str, str], str, int]]:
    chance = random.Random(5)
    names = [f"{first}{last}" for first in _FIRST for last in _LAST]
    chance.shuffle(names)
    return [
        (
            name,
            chance.choice(_WHO),
            chance.randrange(1850, 2015),
            chance.choice(_WHERE),
            chance.choice(_WHAT),
            chance.choice(_WHERE),
            chance.randrange(12, 900),
        )
        for name in names[:90]
    ]


def facts() -> Set:
    """What is known of some companies, asked by their names; each has its facts in three documents."""
    documents, questions = [], []
    chance = random.Random(6)
    for n, (name, who, year, where, (what, other), now, people) in enumerate(_companies()):
        texts = {
            "born": f"{name} was founded in {year} by {who}, who had learned the trade in {where}.",
            "made": f"For most of its history {name} has produced {what}, sold mainly abroad.",
            "size": f"Today {name} employs {people} people, and its head office is in {now}.",
        }
        documents += [Document(f"f{n}{kind}", text) for kind, text in texts.items()]
        asked = [
            ("born", f"Who started {name}, and when?"),
            ("born", f"origin of {name}"),
            ("made", f"Does {name} manufacture {other}?"),
            ("made", f"What kind of goods come from {name}?"),
            ("size", f"How large is the workforce of {name}?"),
            ("size", f"Which city is {name} run from?"),
        ]
        for kind, question in chance.sample(asked, 2):
            questions.append(Question(question, frozenset({f"f{n}{kind}"})))
    return Set("facts", documents, questions)


_SHOPS = _list("Harbour Street,Mill Lane,Castle Road,Station Square,Old Market,River Quay,Church Hill,Garden City")
_GOODS = {
    "kitchen": (
        ("kettle", "something to boil water"),
        ("frying pan", "cookware for eggs and bacon"),
        ("corkscrew", "a tool to open wine"),
        ("toaster", "an appliance for browning slices of bread"),
    ),
    "garden": (
        ("lawn mower", "a machine to cut grass"),
        ("watering can", "what one sprinkles flowers with"),
        ("wheelbarrow", "a cart with one wheel"),
        ("bird feeder", "a place where sparrows get seeds"),
    ),
    "office": (
        ("stapler", "a device to fasten sheets of paper"),
        ("desk lamp", "light for a writing table"),
        ("shredder", "a way to destroy confidential letters"),
        ("whiteboard", "a surface for notes on the wall"),
    ),
    "sport": (
        ("tent", "shelter for camping"),
        ("dumbbell", "weights to train one's arms"),
        ("snorkel", "a tube to breathe under water"),
        ("skateboard", "a board on four small wheels"),
    ),
    "bedroom": (
        ("mattress", "the soft part of a bed"),
        ("alarm clock", "what wakes me in the morning"),
        ("duvet", "a warm cover for the night"),
        ("wardrobe", "furniture to hang clothes in"),
    ),
}


def tables() -> Set:
    """Stock lists of shops, asked for by what a thing is for."""
    chance = random.Random(7)
    documents, questions = [], []
    for s, shop in enumerate(_SHOPS):
        for kind, goods in _GOODS.items():
            rows = "".join(
                f"| {name} | {chance.randrange(3, 200)}.{chance.randrange(10, 99)} | {chance.randrange(0, 60)} |\n"
                for name, _ in goods
            )
            text = f"Branch: {shop}\n\n| article | price | in stock |\n|---|---|---|\n{rows}"
            documents.append(Document(f"t{s}{kind}", text))
            for _, other in chance.sample(goods, 3):
                asked = chance.choice(
                    ("Do they have {0} at {1}?", "{1}: how many pieces of {0} are left", "cost of {0} in {1}")
                )
                questions.append(Question(asked.format(other, shop), frozenset({f"t{s}{kind}"})))
    return Set("tables", documents, questions)


_FILLER = (
    "The minutes of the last session were approved without changes. The chair thanked all members for their patience.",
    "Several speakers pointed out that the report had been distributed late, and asked for more time to study it.",
    "A revised version of the appendix is going to be circulated. Comments are welcome in writing.",
    "The secretary reminded everybody of the usual procedure and referred to the handbook for particulars.",
    "There was a general discussion about the state of the project, in which no decision was reached.",
    "Some figures in the second annex turned out to be provisional. They are marked accordingly.",
    "The working group meets again next month. Its members are asked to prepare a short statement each.",
    "Under other business a member raised the question of translation, which was noted.",
    "It was agreed to come back to this subject at a later point, once all the documents are at hand.",
    "The previous chapter described the background; the following one deals with the details of implementation.",
)


def long() -> Set:
    """The sentences of ``paraphrases``, each in the middle of a long report; chunks are cut as files are."""
    chance = random.Random(8)
    documents, questions = [], []
    for n, (text, question) in enumerate(_pairs()):
        before = [chance.choice(_FILLER) for _ in range(chance.randrange(10, 40))]
        after = [chance.choice(_FILLER) for _ in range(50 - len(before))]
        right = []
        # Parts of one report are told apart by what else they speak of: a second sentence of another subject.
        other = _pairs()[(n * 37 + 11) % len(_pairs())][0].replace("the ", "that ")
        report = "\n\n".join([f"Report {n + 1}", *before, text, other, *after])
        for m, piece in enumerate(chunks(report, max_tokens=400, overlap=100)):
            documents.append(Document(f"l{n}-{m}", piece.text))
            if text in piece.text:
                right.append(f"l{n}-{m}")
        questions.append(Question(question, frozenset(right)))
    return Set("long", documents, questions)


def filters() -> Set:
    """The same rules of several countries and years; the filter says which is meant."""
    chance = random.Random(9)
    countries, years = ("Norway", "Portugal", "Japan", "Chile"), (2021, 2022, 2023)
    documents, questions = [], []
    pairs = _pairs()[:40]
    for country in countries:
        for year in years:
            for n, (text, _) in enumerate(pairs):
                attributes = {"country": country, "year": year, "internal": n % 2 == 0}
                documents.append(Document(f"x{n}-{country}-{year}", text, attributes))
    for n, (_, question) in [*enumerate(pairs)] * 3:
        country, year = chance.choice(countries), chance.choice(years)
        here = {"type": "eq", "key": "country", "value": country}
        when = {"type": "gte", "key": "year", "value": year}, {"type": "lt", "key": "year", "value": year + 1}
        both = {"type": "and", "filters": [here, *when]}
        questions.append(Question(question, frozenset({f"x{n}-{country}-{year}"}), both))
    return Set("filters", documents, questions)


def numbers() -> Set:
    """Parts and error codes that differ in a digit, asked for by number: what vectors do not tell apart."""
    chance = random.Random(10)
    uses = _list("brass hinge,rubber gasket,steel bracket,ceramic fuse,copper washer,nylon strap,glass lens,cork seal")
    causes = _list("a worn bearing,low oil pressure,a blocked filter,a loose cable,overheating,a flat battery")
    documents, questions = [], []
    for n in range(60):
        part, fault = f"VX-{4100 + 7 * n}", f"E{310 + 3 * n}"
        documents.append(Document(f"n{n}part", f"{part} is a {chance.choice(uses)}, delivered in boxes of twenty."))
        documents.append(Document(f"n{n}fault", f"The display shows {fault} after {chance.choice(causes)}."))
        questions.append(Question(f"what do I get when I order {part}?", frozenset({f"n{n}part"})))
        questions.append(Question(f"meaning of {fault}", frozenset({f"n{n}fault"})))
    return Set("numbers", documents, questions)


def _others() -> list[Document]:
    """Documents that answer nothing here."""
    return [Document(f"d{one.id}", one.text) for one in facts().documents[:150]]


SETS: dict[str, Callable[[], Set]] = {
    "facts": facts,
    "paraphrases": paraphrases,
    "code": code,
    "tables": tables,
    "long": long,
    "filters": filters,
    "numbers": numbers,
}
