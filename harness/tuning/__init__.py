"""Decisions fitted to stored tables: thresholds by a closed-form start and a search, expected scores, priors."""
