"""What a run on somebody's own files would be: found in samples of them, without training or TensorFlow."""
