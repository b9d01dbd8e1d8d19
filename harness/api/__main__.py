"""`python -m s5eval`: the command line, where its script is not on the path."""

from s5eval.harness.cli import main

if __name__ == "__main__":
    main()
