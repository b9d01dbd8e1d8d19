"""Networks and transforms that several systems share."""
