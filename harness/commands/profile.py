"""`s5eval profile`: what a system costs."""

import json
from typing import Any

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.number_type import NumberType
from s5eval.harness.command_line.options import json_option, trust_option
from s5eval.harness.terminal import echo, plugin_output


@click.command(
    "profile",
    cls=Command,
    short_help="Parameters, operations, seconds and memory of a system.",
    example="s5eval profile --system multistage --set system.preset=paper",
)
@click.option("--system", required=True, metavar="NAME", help="An installed system that can be profiled.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Setting, such as system.preset=paper.")
@trust_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option(
    "--seconds", type=NumberType(min=0.1, max=3600), default=10.0, show_default=True, help="Length of the mixture."
)
@json_option
def command(
    system: str, settings: tuple[str, ...], trust_checkpoint: bool, device: str, seconds: float, as_json: bool
) -> int:
    """Parameters and multiply-adds per part; seconds, peak memory and real-time factor per stage.

    The mixture is made-up noise; no weights and no data are needed.
    """
    from s5eval.harness.record.config import TRUST, parse_settings, take_trust
    from s5eval.systems.device import resolve_device
    from s5eval.systems.registry import load_profile

    profile = load_profile(system)
    parsed, trusted = take_trust(parse_settings(settings), trust_checkpoint)
    config = {**parsed.get("system", {}), **({TRUST: True} if trusted else {})}
    with plugin_output():
        on = resolve_device(device)
        costs = profile(config, on, seconds=seconds)
    heading = " | ".join(
        [system, *([f"set: {', '.join(settings)}"] if settings else []), f"{on}, {seconds:g} s of noise"]
    )
    echo(json.dumps(costs.as_dict(), indent=1) if as_json else _table(costs.as_dict(), heading, costs.held_up()))
    return 0


def _counted(costs: dict[str, Any]) -> str:
    several = ", ".join(f"{part['networks']} {part['name']}" for part in costs["parts"] if part["networks"] > 1)
    return (
        f"parameters: every network once{f' ({several})' if several else ''}, frozen ones too; "
        f"{costs['trainable_parameters']:,} are trainable, fixed tables and transforms are not"
    )


def _applied(costs: dict[str, Any]) -> str:
    """Multiply-adds of the whole system, and how they come about."""
    if costs["macs_per_second"] is None:
        return "multiply-adds of the whole system: not told, since a part does not say how often it is applied"
    calls = " + ".join(f"{part['calls']} × {part['name']}" for part in costs["parts"] if part["calls"])
    return f"multiply-adds of a mixture without silent slots: {costs['macs_per_second'] / 1e9:,.2f} G/s = {calls}"


def _table(costs: dict[str, Any], heading: str, held_up: str | None) -> str:
    """Parts and stages as tables within the terminal, and below each what its numbers count."""
    from s5eval.harness.report.terminal_layout import aligned, fitted

    parts = [("part", "parameters", "multiply-adds/s")]
    parts += [(p["name"], f"{p['parameters']:,}", f"{p['macs_per_second'] / 1e9:.2f} G") for p in costs["parts"]]
    parts.append(("total", f"{costs['parameters']:,}", ""))
    stages = [("stage", "seconds", "peak MB", "real-time factor")]
    stages += [
        (s["name"], f"{s['seconds']:.2f}", f"{s['peak_mb']:,.0f}", f"{s['real_time_factor']:.3f}")
        for s in costs["stages"]
    ]
    told = [_counted(costs), _applied(costs)]
    late = ["", f"note: {held_up}"] if held_up else []
    return fitted("\n".join([heading, "", *aligned(parts), "", *told, "", *aligned(stages), *late]))
