"""Small submissions, whole and broken, for the tests of this folder."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings
from submitting import LABEL

from s5eval.submissions.expected import Expected
from s5eval.submissions.results import as_json, dev_results, eval_results, output_file_name
from s5eval.submissions.submission import DevResults, DevScore, MixtureOutputs, Output, Submission

settings.register_profile("s5eval", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("s5eval")  # a busy machine is no failure

FRAMES = 800
ANSWERS: Mapping[str, list[str]] = {
    "m_0": ["Speech", "Cough"],
    "m_1": [],
    "m_2": ["Typing", "Typing", "Pour"],
    "m_3": ["Doorbell"],
    "m_4": ["Buzzer"],
}


def wav_bytes(samples: Any, *, rate: int = 32000, subtype: str = "PCM_16", format_: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype=subtype, format=format_)
    return buffer.getvalue()


def noise(seed: int, frames: int = FRAMES) -> Any:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, frames)


@pytest.fixture
def wav() -> Callable[..., bytes]:
    return wav_bytes


@pytest.fixture
def expected() -> Expected:
    return Expected("the test", frozenset(ANSWERS), FRAMES)


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    """Five mixtures, one without outputs and one with a repeated class; wavs lie under `tmp_path/audio`."""
    (tmp_path / "audio").mkdir()
    outputs = []
    for number, (id_, labels) in enumerate(ANSWERS.items()):
        found = []
        for index, label in enumerate(labels):
            path = tmp_path / "audio" / f"{id_}_{index}_{label}.wav"
            path.write_bytes(wav_bytes(noise(10 * number + index)))
            found.append(Output(index, label, 0.5 + 0.1 * index, path))
        outputs.append(MixtureOutputs(id_, tuple(found)))
    right = DevScore("d_0", ("Cough",), ("Cough",), (0.9,), 5.0, 1, 0, 0)
    missed = DevScore("d_1", ("Pour",), (), (), 0.0, 0, 0, 1)
    dev = DevResults(2.5, 50.0, 50.0, [right, missed])
    return Submission(outputs, dev, 1000, {"system": "test"}, {"system": "test"}, FRAMES)


@pytest.fixture
def content(submission: Submission) -> dict[str, bytes]:
    """The files of a flawless submission, by name in the archive; tests break them."""
    files = {
        f"{LABEL}/eval_results.json": as_json(eval_results(submission)),
        f"{LABEL}/dev_set_test_results.json": as_json(dev_results(submission)),
    }
    for answer in submission.outputs:
        for output in answer.outputs:
            files[f"{LABEL}/eval_out/{output_file_name(answer.mixture_id, output)}"] = output.path.read_bytes()
    return files


@pytest.fixture
def edit_json(content: dict[str, bytes]) -> Callable[[str, Callable[[Any], None]], None]:
    """Change one of the two JSON files in place."""

    def edit(file: str, change: Callable[[Any], None]) -> None:
        value = json.loads(content[f"{LABEL}/{file}"])
        change(value)
        content[f"{LABEL}/{file}"] = json.dumps(value).encode()

    return edit


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Write a zip, entry by entry; `extra` takes ZipInfo objects with their content."""

    def write(
        files: Mapping[str, bytes],
        *,
        name: str = f"{LABEL}.zip",
        extra: list[tuple[zipfile.ZipInfo, bytes]] | None = None,
        compression: int = zipfile.ZIP_STORED,
    ) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as archive:
            for file, data in files.items():
                archive.writestr(file, data)
            for info, data in extra or []:
                archive.writestr(info, data)
        return path

    return write


@pytest.fixture
def bare_entry() -> Callable[..., bytes]:
    """A local header and a directory entry made by hand, for names and sizes that zipfile would not write."""

    def make(name: bytes, data: bytes, *, flags: int = 0, declared: int | None = None) -> bytes:
        import zlib

        size, crc = len(data), zlib.crc32(data)
        stated = size if declared is None else declared
        common = struct.pack("<HHHHHLLLHH", 20, flags, 0, 0, 33, crc, size, stated, len(name), 0)
        local = b"PK\3\4" + common + name + data
        entry = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name
        end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(local), 0)
        return local + entry + end

    return make
