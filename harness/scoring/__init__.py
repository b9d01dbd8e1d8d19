"""From tables to numbers: one mixture, the corpus with intervals, differences of two runs, where the decibels went."""
