"""Runs systems over manifests, keeps what they said, scores it and reports."""
