"""What a model knows: ranking, bits per byte, and yardsticks beside them."""
