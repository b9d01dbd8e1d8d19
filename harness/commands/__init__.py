"""The commands of `s5eval`: each module parses options, calls one function of the harness, and prints."""
