"""Challenge submissions: layout, deterministic packages, validation."""
