"""LinkJAX: pretraining for languages with little text, with lexical substitution (LINK)."""

__version__ = "0.1.0"
