"""Training of the challenge's baseline: its recipes, and the losses of its tagger and its separator."""
