"""The type of options that are numbers within a range."""

import math
from typing import Any

import click


class NumberType(click.FloatRange):
    """A finite number: NaN lies within every range of click's, since it is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or an error that names the option."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number
