"""The decoder. Knows nothing of data, and of the machine only logical axis names."""
