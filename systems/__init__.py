"""What turns a mixture into candidates: the plugin contract, the shipped systems and the bounds."""
