"""The local web application: a run seen, heard, and decided anew in a browser of this machine."""
