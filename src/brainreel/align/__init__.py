"""Stage 1: responses → embeddings in one semantic space."""
