"""All files of an ablation: its table for machines and for papers, and its figure."""

import json
from pathlib import Path

from s5eval.data_manifests.common.files import write_atomically
from s5eval.harness.comparing.ablation import Ablation
from s5eval.harness.comparing.ablation_latex import ablation_latex
from s5eval.harness.comparing.ablation_tables import ablation_csv, ablation_markdown, published_rows


def write_ablation(ablation: Ablation, out: Path) -> None:
    """Write `table.json`, `.md`, `.csv`, `.tex`, `.svg` and `.png` into a folder."""
    from s5eval.harness.comparing.ablation_figure import draw_ablation  # matplotlib is slow to load

    out.mkdir(parents=True, exist_ok=True)
    content = {**ablation.as_dict(), "published": published_rows(ablation.about)}
    write_atomically(out / "table.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_atomically(out / "table.md", ablation_markdown(ablation))
    write_atomically(out / "table.csv", ablation_csv(ablation))
    write_atomically(out / "table.tex", ablation_latex(ablation))
    draw_ablation(ablation, out)
