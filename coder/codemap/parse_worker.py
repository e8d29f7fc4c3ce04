"""A parser process: jobs on standard input, an answer each on standard output.

A first line says `ready`. A job is a line of JSON `[key, language, path, size]` and then `size` bytes of source. The process limits itself: hostile
source makes tree-sitter take 20 GB (100 kB of `a<` named `.java`), so it must be able to die alone.
"""

import json
import resource
import sys
from typing import BinaryIO, Final

from coder.codemap.extract import Extractor
from coder.codemap.parsed import Parsed

MEMORY_BYTES: Final = 1 << 30
CPU_PER_FILE_S: Final = 4
"""Seconds of CPU for one file: above the sum of the extractor's own limits, which stop almost everything before."""
READY: Final = b"ready\n"
"""The first line: what dies before it died of our installation, not of a file."""


def answer(key: int, parsed: Parsed) -> bytes:
    """A line of JSON and the parts whose sizes in bytes it says: what `coder.codemap.parse.Answer` reads."""
    found = parsed.postings
    parts = (
        parsed.told.encode(),
        " ".join(found.words).encode(),
        *(column.tobytes() for column in (found.lengths, found.sizes, found.entries)),
    )
    return b"".join([json.dumps([key, parsed.status, *map(len, parts)]).encode(), b"\n", *parts])


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer every job until the input ends."""
    extractor = Extractor()
    answers.write(READY)
    answers.flush()
    while line := jobs.readline():
        key, language, path, size = json.loads(line)
        source = jobs.read(size)
        if len(source) < size:
            return
        allow_cpu(CPU_PER_FILE_S)
        answers.write(answer(key, extractor.extract(source, language, path)))
        answers.flush()


def main() -> None:
    """Limit this process, then serve."""
    limit_process()
    serve(sys.stdin.buffer, sys.stdout.buffer)


def limit_process() -> None:
    """Take memory, core files and files away from this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def allow_cpu(seconds: int) -> None:
    """Let this process use so many seconds of CPU more; the kernel ends it after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
