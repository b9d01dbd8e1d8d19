"""What everything above stands on: expected errors, findings, files and caches."""
