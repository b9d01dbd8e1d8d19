"""Training of the multi-stage system: recipes, losses, and a loop that survives being killed."""
