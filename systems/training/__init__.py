"""Training of any system that ships: recipes, batches of scenes, losses, and a loop that survives being killed."""
