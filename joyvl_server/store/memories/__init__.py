"""Memories: the record, its words, and the vectors from which the index can be made again."""
