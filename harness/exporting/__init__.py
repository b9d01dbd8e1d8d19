"""Results that travel: tables for other people's tools, and runs packed into one file."""
