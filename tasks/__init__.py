"""SeqIO tasks and mixtures: importing a module here registers what it defines."""
