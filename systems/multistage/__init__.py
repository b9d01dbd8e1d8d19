"""The three-stage, self-guided separation-and-classification system (Kwon et al., DCASE 2026 Task 4)."""
