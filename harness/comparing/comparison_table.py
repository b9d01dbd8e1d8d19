"""A comparison of two runs as text."""

from collections.abc import Mapping

from s5eval.data_manifests.common.words import counted, first_of
from s5eval.harness.comparing.pair_of_runs import PairOfRuns, TermDifference
from s5eval.harness.comparing.pair_words import NO_STAR, TITLES, delta_text, remarks, title_of
from s5eval.harness.report.decibels import LOSS_NOTES, LOSS_TITLES, ORACLE_TITLES
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import number
from s5eval.harness.scoring.by_condition import GROUP_TITLES
from s5eval.harness.scoring.decomposition import ORACLES
from s5eval.harness.scoring.paired import Difference

_OF_SLICES = ("capi_sdri", "mixture_accuracy", "sdri")  # metrics of a slice that the text shows; --json has all
_SHOWN = 8  # mixtures of a list; --json has all


def comparison_table(comparison: PairOfRuns) -> str:
    """The comparison as text: metrics, slices, flipped mixtures, losses."""
    lines = [f"A: {title_of(comparison.first)}", f"B: {title_of(comparison.second)}"]
    lines += remarks(comparison)
    header = ("", "A", "B", "B − A [95 %]", "better / worse / same", "sign test p")
    rows: list[tuple[str, ...]] = [header]
    groups: dict[str, list[tuple[str, ...]]] = {}
    for path, difference in comparison.differences.items():
        if path[0] not in ("slices", "conditions") or path[-1] in _OF_SLICES:
            groups.setdefault(_group(path), []).append(_row(path, difference))
    for title, entries in groups.items():
        rows += [(title, *[""] * 5)] if title else []
        rows += [*entries, ()]
    lines += ["", *aligned(rows[:-1]), "", "* the 95 % paired interval excludes 0; among many rows some do by chance"]
    if any(difference.withheld for difference in comparison.differences.values()):
        lines.append(NO_STAR)
    lines += ["", *_decomposition(comparison.decomposition)]
    lines += _flips(comparison)
    return "\n".join(lines)


def _group(path: tuple[str, ...]) -> str:
    if path[0] == "metrics":
        return ""
    if path[0] == "secondary":
        return "secondary metrics (they rank nothing)"
    return GROUP_TITLES.get(path[1], path[1])


def _row(path: tuple[str, ...], difference: Difference) -> tuple[str, ...]:
    title = TITLES[path[-1]]
    name = title if len(path) == 2 else f"  {path[2]}: {title}"
    counts = f"{difference.better} / {difference.worse} / {difference.ties}"
    p = number(difference.p_sign, 3) if difference.p_sign is None or difference.p_sign >= 0.001 else "< 0.001"
    return name, number(difference.first, 3), number(difference.second, 3), delta_text(difference), counts, p


def _decomposition(rows: Mapping[str, TermDifference] | None) -> list[str]:
    if rows is None:
        return []
    table: list[tuple[str, ...]] = [("where the decibels went, dB", "A", "B", "B − A")]
    table += [(f"lost to {title} ({LOSS_NOTES[name]})", *_cells(rows[name])) for name, title in LOSS_TITLES.items()]
    if rows["unanswered"].first or rows["unanswered"].second:
        table.append(("  of it on references that no candidate answers", *_cells(rows["unanswered"])))
    table.append(("gap to the references themselves", *_cells(rows["gap"])))
    table.append(())
    table.append(("bound: the same waveforms with right labels and decisions", *_cells(rows["bound"])))
    known = [name for name in ORACLES if (rows[name].first, rows[name].second) != (None, None)]
    table += [(f"CAPI-SDRi with the {ORACLE_TITLES[name]} put right", *_cells(rows[name])) for name in known]
    return aligned(table)


def _cells(row: TermDifference) -> tuple[str, ...]:
    return number(row.first, 3), number(row.second, 3), number(row.delta, 3, signed=True)


def _flips(comparison: PairOfRuns) -> list[str]:
    shown = [(f"{id_} {number(change, 2, signed=True)}", round(change, 2)) for id_, change in comparison.changes]
    worst = [text for text, change in shown if change < 0][:_SHOWN]
    best = [text for text, change in reversed(shown) if change > 0][:_SHOWN]
    lines = ["", f"{counted(comparison.n, 'mixture')} compared"]
    for title, ids in (("labels exact only in B", comparison.fixed), ("labels exact only in A", comparison.broken)):
        lines.append(f"{title}: {len(ids)}{': ' if ids else ''}{first_of(ids, _SHOWN)}")
    lines += [f"largest gains, dB: {', '.join(best)}"] if best else []
    lines += [f"largest losses, dB: {', '.join(worst)}"] if worst else []
    return lines
