"""What a person reads of a run: terminal tables and one static page."""
