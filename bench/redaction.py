"""Redaction with eight shipped patterns, beside the standard library's `re` and Presidio."""

import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.cpu import load_core, on_cores, usable_cores
from bench.peers import peer_python
from bench.report import Budget, Row, compare
from epochly.inference.privacy.patterns import BUILTIN
from epochly.inference.privacy.redaction import InputRedactor

COVERS = ("epochly/inference/privacy",)

NAMES = ("email", "phone", "card", "iban", "ssn", "ipv4", "api_key", "jwt")

_BUDGET = Budget("ours", "at least", 10)
_PRESIDIO = "presidio-analyzer==2.2.366"

# Recognisers by pattern alone: no language model, and no list of suffixes fetched from the net.
_PROGRAM = """
import json, sys, time
import tldextract
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer, EmailRecognizer, IbanRecognizer, IpRecognizer, PhoneRecognizer,
    UsSsnRecognizer,
)
recognizers = [
    kind() for kind in (EmailRecognizer, PhoneRecognizer, CreditCardRecognizer, IbanRecognizer,
                        UsSsnRecognizer, IpRecognizer)
]
for name, regex in json.loads(sys.stdin.readline()).items():
    recognizers.append(PatternRecognizer(name.upper(), patterns=[Pattern(name, regex, 1.0)]))
print("ready", flush=True)
for line in sys.stdin:
    text = json.loads(line)
    started = time.process_time()
    found = [r for recognizer in recognizers
             for r in recognizer.analyze(text, recognizer.supported_entities, None)]
    for result in sorted(found, key=lambda result: -result.start):
        text = text[: result.start] + "[REDACTED]" + text[result.end :]
    print(json.dumps([time.process_time() - started, len(found)]), flush=True)
"""

_PROSE = (
    "the quick brown fox jumps over a lazy dog while we were reading about models and tokens in "
    "production, 42 of them in 2026; version 1.2.3 answered at 12:34"
)
_WORDS = _PROSE.split()
_DATA = (
    *("john.doe@example.com", "+49 30 1234567", "4111 1111 1111 1111", "123-45-6789"),
    *("DE89 3704 0044 0532 0130 00", "10.20.30.40", "sk-" + "a1" * 16, "eyJhbGc.eyJzdWI.c2ln"),
)
_NEAR = (
    *("john.doe@", "+49 30", "4111 1111 1111 1112", "000-45-6789", "DE89 3704 0044 0532 0130 01"),
    *("10.20.30.400", "sk-short", "eyJhbGc.eyJzdWI"),
)


def run(quick: bool) -> list[Row]:
    """Measure in turn on one core, in CPU time, which other jobs disturb least."""
    rounds = 2 if quick else 7
    size = 200_000 if quick else 1_000_000
    with on_cores(load_core(usable_cores())):
        return [
            _row("prose, 1 word in 50 is data", _text(size, _DATA, 0.02), rounds, budget=_BUDGET),
            _row("prose without data", _text(size, _DATA, 0), rounds, budget=_BUDGET),
            _row("prose, 1 word in 5 is data", _text(size, _DATA, 0.2), rounds),
            _row("prose, 1 word in 20 is a near miss", _text(size, _NEAR, 0.05), rounds),
            _presidio_row(_text(size // 20, _DATA, 0.02), rounds),
            _catastrophe_row(18 if quick else 21, rounds),
        ]


def _text(size: int, data: tuple[str, ...], share: float) -> str:
    chance = random.Random(7)
    words: list[str] = []
    length = 0
    while length < size:
        words.append(chance.choice(data if chance.random() < share else _WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)


def _row(metric: str, text: str, rounds: int, *, budget: Budget | None = None) -> Row:
    redactor = InputRedactor([f"builtin:{name}" for name in NAMES])
    compiled = [re.compile(_for_re(BUILTIN[name].regex)) for name in NAMES]

    def with_re() -> str:
        redacted = text
        for pattern in compiled:
            redacted = pattern.sub("[REDACTED]", redacted)
        return redacted

    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: redactor.redact(text),
        "peer": with_re,
        "floor": lambda: text.encode().decode(),
    }
    rates: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, once in runs.items():
            rates[key].append(len(text) / 1e6 / _cpu_seconds(once))
    return compare(
        metric,
        "MB/s",
        rates,
        higher_is_better=True,
        budget=budget,
        note="the peer is `re` with the same patterns in turn, without check digits; the floor "
        "encodes and decodes the text",
    )


def _for_re(pattern: str) -> str:
    """Write a pattern of RE2 as `re` has it."""
    for ours, theirs in (
        (r"[\p{L}\p{N}._%+'\-]", r"[\w.%+'\-]"),
        (r"[\p{L}\p{N}\-]", r"[\w\-]"),
        (r"\p{L}", r"[^\W\d_]"),
        (r"\x{a0}", r"\xa0"),
    ):
        pattern = pattern.replace(ours, theirs)
    return pattern


def _presidio_row(text: str, rounds: int) -> Row:
    redactor = InputRedactor([f"builtin:{name}" for name in NAMES])
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    with _presidio() as seconds_of:
        seconds_of(text)
        for _ in range(rounds):
            rates["ours"].append(len(text) / 1e6 / _cpu_seconds(lambda: redactor.redact(text)))
            rates["peer"].append(len(text) / 1e6 / seconds_of(text))
    return compare(
        "prose, 1 word in 50, beside Presidio",
        "MB/s",
        rates,
        higher_is_better=True,
        note=f"{_PRESIDIO}, its recognisers by pattern for the same eight kinds, without a model",
    )


@contextmanager
def _presidio() -> Iterator[Callable[[str], float]]:
    """Start Presidio; calling what this yields redacts one text and gives its CPU seconds."""
    words = [str(peer_python("presidio", _PRESIDIO)), "-c", _PROGRAM]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, answers = process.stdin, process.stdout
        custom = {name: _for_re(BUILTIN[name].regex) for name in ("api_key", "jwt")}
        print(json.dumps(custom), file=source, flush=True)
        assert answers.readline() == "ready\n"

        def seconds_of(text: str) -> float:
            print(json.dumps(text), file=source, flush=True)
            seconds, found = json.loads(answers.readline())
            assert found
            return float(seconds)

        yield seconds_of
        source.close()


def _catastrophe_row(length: int, rounds: int) -> Row:
    text = "a" * length + "!"
    redactor = InputRedactor(["(a+)+$"])
    compiled = re.compile("(a+)+$")
    taken: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        taken["ours"].append(_cpu_seconds(lambda: redactor.redact(text)) * 1e6)
        taken["peer"].append(_cpu_seconds(lambda: compiled.sub("[REDACTED]", text)) * 1e6)
    return compare(
        f"(a+)+$ on {length} characters",
        "µs",
        taken,
        note="`re` takes twice as long for every further character",
    )


def _cpu_seconds(once: Callable[[], object]) -> float:
    started = time.process_time()
    once()
    return time.process_time() - started
