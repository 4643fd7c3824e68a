"""One training run: sharding, loss, optimizer, step, checkpoints, metrics."""
