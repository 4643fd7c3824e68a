"""Arms over seeds: what is compared, the runs behind it, and what can be said of them."""
