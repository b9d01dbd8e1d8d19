"""Training of the multi-stage system: its recipes, and the losses of every stage and of the small encoders."""
