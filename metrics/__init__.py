"""Numbers from arrays and labels. Pure functions on numpy arrays; depends on no other part of s5eval."""
