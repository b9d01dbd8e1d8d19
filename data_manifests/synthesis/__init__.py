"""Scenes made from sound events, rooms and backgrounds by the rules of the challenge."""
