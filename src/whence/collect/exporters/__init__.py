"""Where batches go: the archive, backends, and eyes. The law: `consume` returns once somebody has taken responsibility."""
