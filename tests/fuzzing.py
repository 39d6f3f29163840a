"""Damaged and hostile files for every reader: seeded changes of valid files, and a campaign that counts what they do.

A reader may read an input or refuse it with a TaskWebError of bounded length, in bounded time. `make fuzz` runs 100,000 inputs.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from taskweb.errors import TaskWebError

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"  # a damaged name may be that of a data set on the Hub

MOST_SECONDS = 10  # of the processor, for one input
MOST_MEMORY = 2 << 30  # bytes beyond those of the process at the start of a campaign
LONGEST_MESSAGE = 4000
_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null')
TOKENS = (
    *(b"null", b"true", b"false", b"0", b"-1", b"1.5", b"NaN", b"-Infinity", b"1e400", b"1e-400", b"9" * 5000, b"-0"),
    *(b"[]", b"{}", b'""', b"[" * 3000, b'{"a":' * 3000, b"[[[]]]", b'{"input": 1, "input": []}', b'["a", 1, null, {}]'),
    *(b'"\\ud800"', b'"\x1b[2J"', '"\u202e=cmd"'.encode(), b'"../../x"', b'"~/x"', b'"$HOME"', "é東".encode(), b"x" * 100_000),
    *(b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\n", b"\t"),
    *(b'"', b"'", b",", b";", b"|", b"\\", b"=", b"choices", b"output", b"label"),
    *(
        b"!!python/object:os.system",
        b"&a [*a]",
        b"<<: *a",
        b"2001-99-99",
        b"{{ 'a' * 10**10 }}",
        b"{% for i in range(99999) %}",
    ),
)
Change = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Subject:
    """A reader and a valid file for it. content: by the names of the files; the first one is changed. read: of the folder."""

    name: str
    content: dict[str, bytes]
    read: Callable[[Path], object]
    inside: bool = False  # whether the file is gzip, whose content is changed too

    @property
    def file(self) -> str:
        return next(iter(self.content))


@dataclass
class Outcome:
    """What the inputs of one subject did. faults: what was raised beside TaskWebError, and what took too long, by place."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)


def changed(content: bytes, rng: random.Random) -> bytes:
    """A valid file after one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        content = rng.choice(CHANGES)(content, rng)
    return content


def _place(content: bytes, rng: random.Random) -> int:
    return rng.randrange(len(content) + 1)


def _flip(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def _without(content: bytes, rng: random.Random) -> bytes:
    begin = _place(content, rng)
    return content[:begin] + content[begin + rng.choice((1, 2, 8, 100)) :]


def _twice(content: bytes, rng: random.Random) -> bytes:
    begin = _place(content, rng)
    end = begin + rng.choice((1, 8, 100, 1000))
    return content[:end] + content[begin:end] * rng.choice((1, 1, 50)) + content[end:]


def _put(content: bytes, rng: random.Random) -> bytes:
    place = _place(content, rng)
    return content[:place] + rng.choice(TOKENS) + content[place:]


def _value(content: bytes, rng: random.Random) -> bytes:
    found = list(_VALUE.finditer(content))
    if not found:
        return _put(content, rng)
    begin, end = rng.choice(found).span()
    return content[:begin] + rng.choice(TOKENS) + content[end:]


def _swapped_values(content: bytes, rng: random.Random) -> bytes:
    found = list(_VALUE.finditer(content))
    if len(found) < 2:
        return _flip(content, rng)
    (a, b), (c, d) = sorted(one.span() for one in rng.sample(found, 2))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines[: rng.randrange(len(lines) + 1)]) if rng.random() < 0.5 else b"".join(lines)


CHANGES: tuple[Change, ...] = (_flip, _cut, _without, _twice, _put, _value, _value, _value, _swapped_values, _lines)


def inputs(subject: Subject, count: int, seed: int) -> Iterator[bytes]:
    """Changed files for a subject, the same for the same seed."""
    rng = random.Random(f"{subject.name} {seed}")
    valid = subject.content[subject.file]
    for _ in range(count):
        if subject.inside and rng.random() < 0.6:
            yield gzip.compress(changed(gzip.decompress(valid), rng), 1)
        else:
            yield changed(valid, rng)


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes more processor time."""

    def too_long(*_arguments: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def campaign(subject: Subject, count: int, seed: int, folder: Path, keep: Path | None = None) -> Outcome:
    """Read this many changed files in a folder. keep: where inputs are written that do what no input may."""
    outcome = Outcome()
    for name, content in subject.content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    subject.read(folder)  # as it is, it can be read
    for number, content in enumerate(inputs(subject, count, seed)):
        (folder / subject.file).write_bytes(content)
        fault, begin = "", time.process_time()
        try:
            with limited(MOST_SECONDS):
                subject.read(folder)
            outcome.read += 1
        except TaskWebError as refusal:
            outcome.refused += 1
            fault = "" if len(str(refusal)) <= LONGEST_MESSAGE else f"a message of {len(str(refusal)):,} characters"
        except BaseException as raised:
            frames = [frame for frame in traceback.extract_tb(raised.__traceback__) if "taskweb" in frame.filename]
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
            fault = f"{type(raised).__name__} at {where}: {str(raised)[:80]!r}"
            if isinstance(raised, KeyboardInterrupt | SystemExit):
                raise
        outcome.slowest = max(outcome.slowest, time.process_time() - begin)
        if fault:
            outcome.faults[fault] += 1
            if keep is not None and outcome.faults[fault] == 1:
                (keep / f"{subject.name} {seed} {number}").write_bytes(content)
    return outcome


def subjects(*, torch: bool) -> list[Subject]:
    """All readers; torch: also those whose modules load it."""
    from tests import fuzzed_files

    return [*fuzzed_files.light(), *(fuzzed_files.with_torch() if torch else ())]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a campaign over all readers and print what happened; 1 if any input did what none may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs, over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="readers with this in their name")
    parser.add_argument("--keep", type=Path, help="folder for inputs that do what none may")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    chosen = [subject for subject in subjects(torch=True) if (options.only or "") in subject.name]
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + MOST_MEMORY
    count = -(-options.inputs // len(chosen))
    failed = total = 0
    _say("| reader | inputs | read | refused | faults | slowest |\n|---|---|---|---|---|---|")
    for subject in chosen:
        folder = Path(tempfile.mkdtemp(prefix="taskweb-fuzz-"))
        outcome = campaign(subject, count, options.seed, folder, options.keep)
        shutil.rmtree(folder)
        faults = sum(outcome.faults.values())
        failed, total = failed + faults, total + count
        figures = f"{count:,} | {outcome.read:,} | {outcome.refused:,} | {faults:,} | {outcome.slowest:.2f} s"
        _say(f"| {subject.name} | {figures} |")
        for fault, times in outcome.faults.most_common():
            _say(f"    {times:,} times: {fault}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _say(f"\n{total:,} inputs, {failed:,} faults; most memory {memory / 2**20:,.0f} MiB.")
    return int(failed > 0 or memory > limit)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def gzipped(content: bytes) -> bytes:
    """The same bytes for the same content."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        file.write(content)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
