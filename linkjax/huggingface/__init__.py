"""Models in Hugging Face's layout: what this stack shares with the rest of the world."""
