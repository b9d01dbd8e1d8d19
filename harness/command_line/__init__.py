"""What the commands share: their help and options, how errors are worded, completion, progress on a terminal."""
