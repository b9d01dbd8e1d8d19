"""Charts as strings: pure functions from plain numbers to inline SVG, in the colours of the page they stand in."""
