"""Where batches come from. The law: nothing is acknowledged before the pipelines have taken responsibility for it."""
