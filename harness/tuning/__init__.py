"""Silence thresholds fitted to stored tables: a closed-form start, a coordinate search, cross-validation."""
