"""What the two JSON files of a submission must say, and how they must agree with themselves."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import CLASS_INDEX, label_problem
from s5eval.data_manifests.naming import MixtureIds, parse_source_stem
from s5eval.submissions.check_json import Node, Note, is_number, load_json, shown_value
from s5eval.submissions.results import PADDING
from s5eval.submissions.rules import EVAL_IDS, EVAL_RESULTS

DEV_MIXTURES = 1512
"""Mixtures of the official development test set."""

_TOLERANCE = 5e-3  # dB and percent: published figures are rounded to this


@dataclass(slots=True)
class ListedFiles:
    """What `eval_results.json` says that there is: mixtures, and file name → mixture."""

    mixtures: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    nparams: int | None = None

    def check_without_output(self, files: Iterable[str], note: Note) -> None:
        """Say what it means that a submission has no wav: nothing was heard, or all that is listed is missing.

        Args:
            files: what there is, by names in the container.
            note: takes the finding, on the folder of the wavs.
        """
        if not self.files:
            note("empty-eval-out", "holds no wav: as if no target was heard in any mixture")
            return
        elsewhere = sorted({name.rpartition("/")[0] for name in files if name.endswith(".wav")})
        hint = f"; wavs stand in {', '.join(elsewhere[:3])}" if any(elsewhere) else ""
        listing = f"{EVAL_RESULTS} lists {counted(len(self.files), 'output')}"
        note("missing-eval-out", f"the folder is missing or holds no wav, and {listing}{hint}")


def check_eval_results(content: bytes, note: Note) -> ListedFiles | None:
    """Check `eval_results.json` by itself; None when nothing of it can be used."""
    value = load_json(content, note)
    if value is None:
        return None
    root, listed = Node(value, "", note), ListedFiles()
    root.check_keys(("nparams", "probabilities", "config"))
    listed.nparams = _nparams(root)
    root.get("config")
    for entry in root.items("probabilities"):
        entry.check_keys(("soundscape", "estimate"))
        mixture = entry.text("soundscape")
        if mixture is not None and mixture in listed.mixtures:
            entry.note("soundscape-duplicate", f"the mixture {mixture!r} stands here twice")
        if mixture is not None:
            listed.mixtures.add(mixture)
        for estimate in entry.items("estimate"):
            _check_estimate(estimate, mixture, listed)
    return listed


def check_eval_count(listed: ListedFiles, note: Note) -> None:
    """Warn of what answers something else than the challenge asks for: whole and valid, and yet no entry to it."""
    known = len(listed.mixtures.intersection(EVAL_IDS))
    if known < len(EVAL_IDS):
        mixtures = counted(len(listed.mixtures), "mixture")
        note("eval-count", f"{mixtures}, {known or 'none'} of the official evaluation set's {len(EVAL_IDS):,}")


def _check_estimate(estimate: Node, mixture: str | None, listed: ListedFiles) -> None:
    estimate.check_keys(("filename", "label", "probability"))
    file, label = estimate.text("filename"), estimate.text("label")
    if label is not None and (problem := label_problem(label)):
        estimate.note("unknown-label", problem)
    if (probability := estimate.get("probability")) is not None:
        _check_probability(probability)
    if file is None:
        return
    if file in listed.files:
        estimate.note("filename-duplicate", f"the file {file!r} is listed twice")
    listed.files.setdefault(file, mixture or "")
    stem = file.removesuffix(".wav")
    name = next(iter(MixtureIds(() if mixture is None else (mixture,)).readings(stem)), parse_source_stem(stem))
    name = name if file.endswith(".wav") else None
    if name is None:
        estimate.note("file-name", f"{file!r} is not of the form <mixture>_<i>_<Label>.wav")
        return
    if label is not None and name.label != label:
        estimate.note("label-differs", f"the label is {label!r}, the file is named {file!r}")
    if mixture is not None and name.mixture_id != mixture:
        estimate.note("filename-mixture", f"{file!r} stands under the mixture {mixture!r}")


def check_dev_results(content: bytes, note: Note, *, official: bool) -> int | None:
    """Check `dev_set_test_results.json`; returns its `nparams`.

    Args:
        content: the file.
        note: takes findings.
        official: the submission is one to the challenge, as far as anybody knows: these are the official test mixtures.
    """
    value = load_json(content, note)
    if value is None:
        return None
    root = Node(value, "", note)
    root.check_keys(("CAPI-SDRi", "label_metrics", "nparams", "details", "config"))
    nparams = _nparams(root)
    root.get("config")
    means: dict[str, float | None] = {}
    if (node := root.get("CAPI-SDRi")) is not None:
        means |= _stated(node, "mean", low=-1000.0, high=1000.0)
    if (node := root.get("label_metrics")) is not None:
        for key in ("accuracy_mix", "accuracy_src"):
            means |= _stated(node, key, low=0.0, high=100.0)
    details = root.items("details")
    if official and len(details) != DEV_MIXTURES:
        note(
            "dev-count",
            f"{counted(len(details), 'mixture')} in 'details', the development test set has {DEV_MIXTURES:,}: the "
            "official checks refuse others, and any that lack one",
        )
    seen: set[str] = set()
    rows = []
    for detail in details:
        detail.check_keys(("soundscape", "ref_labels", "est_labels", "probabilities", "metrics"))
        mixture = detail.text("soundscape")
        if mixture is not None and mixture in seen:
            detail.note("soundscape-duplicate", f"the mixture {mixture!r} stands here twice")
        seen.add(mixture or "")
        rows.append(_check_detail(detail))
    _compare_means(means, rows, note)
    return nparams


@dataclass(frozen=True, slots=True)
class _Row:
    capi_sdri: float | None
    counts: Mapping[str, int]


def _check_detail(detail: Node) -> _Row | None:
    reference, estimate = _labels(detail, "ref_labels"), _labels(detail, "est_labels")
    probabilities = detail.items("probabilities")
    for probability in probabilities:
        _check_probability(probability)
    metrics: dict[str, Node] = {}
    for entry in detail.items("metrics"):
        name = entry.text("metric")
        node = entry.get("value")
        if name is not None and node is not None:
            metrics[name] = node
    for name in ("CAPI-SDRi", "label_metrics"):
        if name not in metrics:
            detail.note("json-schema", f"metrics: there is no entry with the metric {name!r}")
    if reference is None or estimate is None or len(metrics) < 2 or {"CAPI-SDRi", "label_metrics"} - metrics.keys():
        return None
    labels = detail.value["est_labels"]
    if isinstance(labels, list) and len(probabilities) != len(labels):  # what is none has been noted
        detail.note("json-schema", f"{len(probabilities)} probabilities for {len(labels)} labels")
    capi = metrics["CAPI-SDRi"]
    if capi.value is not None and not is_number(capi.value):
        capi.note("dev-value", f"expected a number in dB or null, found {shown_value(capi.value)}")
        return None
    tp = (estimate & reference).total()
    expected = {"tp": tp, "fp": estimate.total() - tp, "fn": reference.total() - tp}
    counts = metrics["label_metrics"]
    for key, value in {**expected, "acc": expected["fp"] == expected["fn"] == 0}.items():
        node = counts.get(key)
        if node is not None and node.value != value:
            node.note("dev-inconsistent", f"{shown_value(node.value)}, but the labels beside it give {value}")
    entries = sum(expected.values())
    if (capi.value is None) != (entries == 0):  # one that is left out of the mean raises it where it is a low one
        given = counted(entries, "source") if entries else "no source"
        capi.note("dev-inconsistent", f"{shown_value(capi.value)}, but the labels beside it give {given} to score")
    return _Row(capi.value, expected)


def _labels(detail: Node, key: str) -> Counter[str] | None:
    labels: Counter[str] = Counter()
    for node in detail.items(key):
        if not isinstance(node.value, str) or (node.value not in CLASS_INDEX and node.value != PADDING):
            node.note(
                "unknown-label", f"expected one of the 18 classes or {PADDING!r}, found {shown_value(node.value)}"
            )
            return None
        if node.value != PADDING:
            labels[node.value] += 1
    return labels


def _compare_means(means: Mapping[str, float | None], rows: list[_Row | None], note: Note) -> None:
    known = [row for row in rows if row is not None]
    if len(known) != len(rows) or not rows:
        return
    defined = [row.capi_sdri for row in known if row.capi_sdri is not None]
    sums = {key: sum(row.counts[key] for row in known) for key in ("tp", "fp", "fn")}
    entries = sum(sums.values())
    exact = sum(row.counts["fp"] == row.counts["fn"] == 0 for row in known)
    computed = {
        "CAPI-SDRi.mean": sum(defined) / len(defined) if defined else None,
        "label_metrics.accuracy_mix": 100.0 * exact / len(known),
        "label_metrics.accuracy_src": 100.0 * sums["tp"] / entries if entries else None,
    }
    for key, stated in means.items():
        value = computed[key]
        if stated is None and value is None:
            continue
        if stated is None or value is None or abs(stated - value) > _TOLERANCE:
            said, given = (_shown(number) for number in (stated, value))
            note("dev-inconsistent", f"{key} is {said}, but 'details' give {given}")


def _shown(mean: float | None) -> str:
    return "null" if mean is None else f"{mean:.4f}"


def _nparams(root: Node) -> int | None:
    node = root.get("nparams")
    if node is None:
        return None
    value: Any = node.value
    if value is None:
        node.note(
            "nparams-unknown",
            "null: say how many parameters the system has, all networks together (`nparams` of `s5eval submit build`)",
        )
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**15:
        node.note("nparams", f"expected the number of parameters as a whole number, found {shown_value(value)}")
        return None
    return int(value)


def _check_probability(node: Node) -> None:
    if not is_number(node.value) or not 0 <= node.value <= 1:
        node.note("probability", f"expected a number from 0 to 1, found {shown_value(node.value)}")


def _stated(parent: Node, key: str, *, low: float, high: float) -> dict[str, float | None]:
    """The mean under a key, by its path; nothing, with a finding, where it is missing or none."""
    node = parent.get(key)
    if node is None:
        return {}
    if node.value is None:
        return {node.path: None}
    if not is_number(node.value) or not low <= node.value <= high:
        node.note("dev-value", f"expected a number from {low:g} to {high:g}, or null, found {shown_value(node.value)}")
        return {}
    return {node.path: float(node.value)}
