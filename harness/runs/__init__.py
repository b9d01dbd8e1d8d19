"""A system over a manifest into a run folder, and what is made of finished runs without a network."""
