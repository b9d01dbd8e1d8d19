"""What stays of a run on disk: its folder, its tables, what it was asked to do and under which circumstances."""
