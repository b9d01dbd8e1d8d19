"""What the provenance of a decision says of the decisions it was built on."""

from collections.abc import Iterator, Mapping
from typing import Any

BEFORE = "on_top_of"
"""Key of a provenance: that of the decision which was improved on, if it was a tuned one."""


def levels(provenance: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """A provenance, and those that it is built on, the newest first; nothing where there is none."""
    while provenance is not None:
        yield provenance
        before = provenance.get(BEFORE)
        provenance = before if isinstance(before, Mapping) else None


def on_top_of(provenance: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a provenance says of the one it is built on; nothing where there was none."""
    return {} if provenance is None else {BEFORE: provenance}


def is_fitted(provenance: Mapping[str, Any] | None) -> bool:
    """Whether thresholds or an expected score were fitted, and not priors alone."""
    return any(not level.get("unlabelled") for level in levels(provenance))


def of_priors(provenance: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A provenance without what was fitted to references: what adapted priors stays, and nothing else.

    >>> of_priors({"split": "valid", "on_top_of": {"unlabelled": True, "split": "here"}})
    {'unlabelled': True, 'split': 'here'}
    """
    kept: dict[str, Any] | None = None
    for level in reversed([level for level in levels(provenance) if level.get("unlabelled")]):
        kept = {**{key: value for key, value in level.items() if key != BEFORE}, **on_top_of(kept)}
    return kept
