"""The small spectrograms of a data set's mixtures, drawn once and kept in the cache, for every run on it."""

import contextlib
import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Scene
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.report.spectrogram import picture

_VERSION = 1
"""Of what `picture` draws: another one, and all are drawn again."""


def small_pictures(record: RunRecord, scenes: Mapping[str, Scene], *, draw: bool) -> dict[str, str]:
    """Mixture id → its spectrogram (channel 0), as base64 of a PNG.

    Kept under the digest of the mixture's content, so that a picture is never of other data; a run without digests
    (version 1) has none. A mixture that cannot be read has none either.

    Args:
        record: the run's `run.json`.
        scenes: by mixture id, where the audio is.
        draw: read the audio of mixtures whose picture is not kept yet (some 20 ms each); otherwise these have none.
    """
    digests = dict(zip(record.mixtures, record.mixture_digests or (), strict=False))
    store = _store(record)
    known = _kept(store)
    found = {id_: known[digest] for id_, digest in digests.items() if digest in known}
    missing = [scenes[id_] for id_ in digests if id_ not in found and id_ in scenes] if draw else []
    for scene in missing:
        with contextlib.suppress(S5Error, OSError, ValueError):
            found[scene.mixture.id] = _drawn(scene)
    if missing and store is not None:
        content = {digests[id_]: content for id_, content in found.items()}
        with contextlib.suppress(S5Error, OSError):
            store.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(store, seal({"version": _VERSION, "pictures": content}), sync=False)
    return found


def _drawn(scene: Scene) -> str:
    audio = read_audio(scene.mixture.path, channels=MIXTURE_CHANNELS, sample_rate=SAMPLE_RATE, only=0)
    return b64encode(picture(audio[0])).decode()


def _store(record: RunRecord) -> Path | None:
    try:
        return cache_folder() / "pictures" / f"{record.manifest_sha256[:32]}.json"
    except S5Error:
        return None


def _kept(store: Path | None) -> Mapping[str, str]:
    """What is kept; nothing where that is absent, damaged, or of another version."""
    try:
        content = unseal(store.read_bytes()).content if store is not None else {}
    except (OSError, DamagedError):
        return {}
    pictures = content.get("pictures") if content.get("version") == _VERSION else None
    return pictures if isinstance(pictures, dict) and all(map(_is_text, pictures.values())) else {}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and json.dumps(value) == f'"{value}"'
