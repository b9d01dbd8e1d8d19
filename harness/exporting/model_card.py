"""The page of a model on a hub, made from the card of its weights."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from s5eval.data_manifests.common.words import counted
from s5eval.systems.resources import heard_resources, training_facts

_TITLES = {
    "capi_sdri": "CAPI-SDRi dB",
    "mixture_accuracy": "mixture accuracy %",
    "source_accuracy": "source accuracy %",
    "capi_sdri_zero_floor": "zero floor dB",
    "capi_sdri_gain_floor": "gain floor dB",
}


def model_card(card: Mapping[str, Any], name: str, *, licence: str | None, files: Sequence[str]) -> str:
    """Markdown with the hub's front matter.

    Args:
        card: as `read_card` gives it.
        name: of the repository.
        licence: an identifier of the hub; None: not stated.
        files: that are sent with it.
    """
    front = {"library_name": "s5eval", "tags": ["source-separation", "sound-event-detection", "ambisonics", "dcase"]}
    lines = ["---", f"license: {json.dumps(licence or 'unknown')}"]
    lines += [f"{key}: {json.dumps(value)}" for key, value in front.items()]
    lines += ["---", "", f"# {name}", "", "Weights for Spatial Semantic Segmentation of Sound Scenes (DCASE Task 4)."]
    lines += [
        "",
        "```",
        f"s5eval weights pull hf://{name} weights",
        "s5eval run --system … --set system.weights=weights",
        "```",
    ]
    for section in (_scores, _training, _resources, _remarks):
        lines += list(section(card))
    lines += ["", "## Files", "", *(f"- `{file}`" for file in files), ""]
    lines += ["Digests of what was exported stand in `card.json`; `s5eval weights pull` checks them.", ""]
    return "\n".join(lines)


def _scores(card: Mapping[str, Any]) -> Iterator[str]:
    tables = {key: told for key, told in card.get("scores", {}).items() if isinstance(told, dict)}
    if not tables:
        yield from ("", "## Scores", "", "None stand on the card.")
        return
    columns = [key for key in _TITLES if any(key in told for told in tables.values())]
    yield from ("", "## Scores", "", "Values with 95 % intervals.", "")
    yield "| data | " + " | ".join(_TITLES[key] for key in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for data, told in tables.items():
        yield f"| {_cell(data)} | " + " | ".join(_value(told.get(key)) for key in columns) + " |"


def _value(told: Any) -> str:
    if isinstance(told, list) and len(told) == 3:
        return f"{told[0]} [{told[1]}, {told[2]}]"
    return "–" if told is None else _cell(str(told))


def _training(card: Mapping[str, Any]) -> Iterator[str]:
    facts = training_facts(card)
    yield from (
        "",
        "## Training",
        "",
        f"{facts['hours']:g} hours in all, on {'; '.join(facts['devices']) or 'not stated'}.",
    )
    energy = facts["energy"]
    if energy is None:
        yield "Energy: not measured."
    else:
        lacking = energy.unmeasured_sittings
        unmeasured = f"{counted(lacking, 'sitting')} {'was' if lacking == 1 else 'were'} not measured"
        less = f"; less than the whole, since {unmeasured}" if lacking else ""
        yield f"Energy: {energy.kwh:.4g} kWh, an estimate ({energy.method}){less}."
    yield from ("", "| recipe | steps | scenes | data | hours |", "|---|---:|---:|---|---:|")
    for entry in card["history"]:
        cells = (entry.get(key, "–") for key in ("recipe", "steps", "scenes", "data", "hours"))
        yield "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"


def _resources(card: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Recordings and their licences", "")
    found = heard_resources(card)
    if not found:
        yield "None: all sounds were made by s5eval itself."
        return
    yield from ("| source | licence |", "|---|---|")
    for entry in found:
        name, url = _cell(str(entry["name"])), entry["url"]
        link = f"[{name}]({url})" if url is not None and url.startswith("https://") else name
        yield f"| {link} | {_cell(str(entry['licence']))} |"


def _remarks(card: Mapping[str, Any]) -> Iterator[str]:
    if card.get("remarks"):
        yield from ("", "## Remarks", "", " ".join(str(card["remarks"]).split()))


def _cell(text: str) -> str:
    """A text in a table of Markdown: no bars, no markup, no line ends."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
