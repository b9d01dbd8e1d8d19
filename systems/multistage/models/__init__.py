"""The networks: front end, state-space core, separators, classifier, embeddings."""
