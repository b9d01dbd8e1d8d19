"""The small spectrograms of a data set's mixtures, drawn once and kept in the cache, for every run on it."""

import contextlib
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Audio, Scene
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.report.spectrogram import picture

_VERSION = 1
"""Of what `picture` draws: another one, and all are drawn again."""


LONGEST_AT_ONCE = 1 << 23
"""Samples, 4 minutes: no longer channel is in memory beside the candidates of its mixture; the page draws that one."""


def small_pictures(
    record: RunRecord, scenes: Mapping[str, Scene], *, draw: bool, drawn: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Mixture id → its spectrogram (channel 0), as base64 of a PNG.

    Kept under the digest of the mixture's content, so that a picture is never of other data; a run without digests
    (version 1) has none. A mixture that cannot be read has none either.

    Args:
        record: the run's `run.json`.
        scenes: by mixture id, where the audio is.
        draw: read the audio of mixtures whose picture is not kept yet (some 10 ms each); otherwise these have none.
        drawn: pictures that `draw_picture` has made of these mixtures meanwhile; they are kept as well.
    """
    digests = record.digests
    store = _store(record.manifest_sha256)
    known = _kept(store)
    found = {id_: known[digest] for id_, digest in digests.items() if digest in known}
    new = {id_: content for id_, content in (drawn or {}).items() if id_ in digests and id_ not in found}
    missing = [id_ for id_ in digests if id_ not in found and id_ not in new and id_ in scenes] if draw else []
    for id_ in missing:
        if (content := draw_picture(scenes[id_])) is not None:
            new[id_] = content
    found |= new
    if new and store is not None:
        pictures = {digests[id_]: content for id_, content in found.items()}
        with contextlib.suppress(S5Error, OSError):
            store.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(store, seal({"version": _VERSION, "pictures": pictures}), sync=False)
    return found


def without_picture(manifest: Manifest) -> frozenset[str]:
    """Ids of the mixtures whose picture is not kept on this machine."""
    known = _kept(_store(manifest.sha256))
    pairs = zip(manifest.scenes, manifest.digests, strict=True)
    return frozenset(scene.mixture.id for scene, digest in pairs if digest not in known)


def draw_picture(scene: Scene, omni: Callable[[], Audio] | None = None) -> str | None:
    """The spectrogram of a mixture's channel 0, as base64 of a PNG; None where the mixture cannot be read.

    Args:
        scene: whose mixture it is.
        omni: gives channel 0, (T,), where its samples are at hand; None: its file is read.
    """
    with contextlib.suppress(S5Error, OSError, ValueError):
        audio = _read(scene) if omni is None else omni()
        return b64encode(picture(audio)).decode()
    return None


def _read(scene: Scene) -> Audio:
    samples: Audio = read_audio(scene.mixture.path, channels=MIXTURE_CHANNELS, sample_rate=SAMPLE_RATE, only=0)[0]
    return samples


def _store(manifest_sha256: str) -> Path | None:
    try:
        return cache_folder() / "pictures" / f"{manifest_sha256[:32]}.json"
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
