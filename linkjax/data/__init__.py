"""The data way: SeqIO tasks, documents on disk, tokens, packed rows, global batches."""
