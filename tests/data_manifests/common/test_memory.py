"""Freed memory stays with the process, where the C library can be told so."""

import ctypes
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from s5eval.data_manifests.common.memory import keep_freed_memory

TRIM, MMAP = -1, -3  # malloc.h

_SECOND_ARRAY = """
import resource
from s5eval.data_manifests.common.memory import keep_freed_memory
keep_freed_memory()
size = 24 << 20
"a" * size
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
"a" * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_an_array_takes_the_memory_of_the_one_before() -> None:
    done = subprocess.run([sys.executable, "-c", _SECOND_ARRAY], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 600, "a tenth of its pages"


def told(monkeypatch: pytest.MonkeyPatch, most: int) -> dict[int, int]:
    """What a C library that takes no threshold of mapping above `most` has been told in the end."""
    settings: dict[int, int] = {}

    def mallopt(option: int, value: int) -> int:
        if option == MMAP and value > most:
            return 0
        settings[option] = value
        return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    monkeypatch.setattr(sys, "platform", "linux")
    keep_freed_memory()
    return settings


def test_a_c_library_that_takes_less_gets_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other threshold without this one would be worse than nothing: large arrays would never be kept."""
    assert told(monkeypatch, 1 << 40) == {MMAP: 1 << 30, TRIM: 1 << 30}
    assert told(monkeypatch, 1 << 25) == {MMAP: 1 << 25, TRIM: 1 << 30}
    assert told(monkeypatch, 1 << 19) == {}


def test_elsewhere_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # as that of musl
    monkeypatch.setattr(sys, "platform", "linux")
    keep_freed_memory()
    monkeypatch.delattr(ctypes, "CDLL")
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_freed_memory()
