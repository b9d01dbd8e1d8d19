"""The data sets that are known by name: the official ones, and the embedded one."""
