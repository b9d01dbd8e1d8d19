"""Runs side by side: two of them, the rows of an ablation, a ranking of many."""
