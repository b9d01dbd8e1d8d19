"""Hands tasks to workers, processes here or actors of Ray, and says who is to blame for a death."""
