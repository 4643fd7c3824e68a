"""Another vocabulary for a finished model: tokens added, replaced or dropped, and rows of embeddings for the new ones.

Letters of array names: V tokens of the old vocabulary, N new tokens, S tokens that both vocabularies have,
P pairs of words, D width of the model, E width of the target-language model, W width of the word vectors.
"""
