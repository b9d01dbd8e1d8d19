"""The style sheet that pages and applications share."""

from importlib.resources import files

from s5eval.harness.report.palette import DARK, LIGHT


def stylesheet() -> str:
    """Colours as custom properties, light and dark as the reader's system is set, and the rules of `style.css`.

    >>> "--ink: #1c2430" in stylesheet()
    True
    """
    rules = files("s5eval.harness.report").joinpath("style.css").read_text(encoding="utf-8")
    light, dark = ("; ".join(f"--{role}: {colour}" for role, colour in theme.items()) for theme in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark}; }} }}\n{rules}"
    )
