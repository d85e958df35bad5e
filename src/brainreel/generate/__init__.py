"""Stage 3: conditions → video."""
