"""A prefix cache by content: prompts that begin alike share what they share.

The least recently used is evicted, the tail of a prompt before its head. Whole pieces are kept or evicted; what counts
as found is rounded down to whole blocks by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.simulation.prompt import Piece


class Node:
    """A piece in the cache; a prompt is a path from the root."""

    __slots__ = ("children", "key", "parent", "pins", "stamp", "tokens")

    def __init__(self, parent: Node | None, key: str, tokens: int) -> None:
        self.parent = parent
        self.key = key
        self.tokens = tokens
        self.children: dict[str, Node] = {}
        self.pins = 0
        self.stamp = 0


class PrefixCache:
    """`cache_tokens` is its capacity. `used` never exceeds it."""

    def __init__(self, cache_tokens: int) -> None:
        self.cache_tokens = cache_tokens
        self.used = 0
        """tokens held, reserved ones included"""
        self._root = Node(None, "", 0)
        self._leaves: set[Node] = set()
        self._stamp = 0

    def match(self, pieces: Iterable[Piece]) -> tuple[Node, int, int]:
        """The node up to which the prompt is held, its tokens, and how many pieces those are. They count as used."""
        self._stamp += 1
        node, tokens, count = self._root, 0, 0
        for piece in pieces:
            found = node.children.get(piece.key)
            if found is None:
                break
            node, tokens, count = found, tokens + found.tokens, count + 1
            node.stamp = self._stamp
        return node, tokens, count

    def pin(self, node: Node) -> None:
        """It, and so all before it, is not evicted until `unpin`."""
        node.pins += 1

    def unpin(self, node: Node) -> None:
        node.pins -= 1

    def reserve(self, tokens: int) -> bool:
        """Room for this many new tokens, where need be by eviction; False where all that is held is in use."""
        while self.used + tokens > self.cache_tokens:
            leaf = min((leaf for leaf in self._leaves if not leaf.pins), key=lambda leaf: leaf.stamp, default=None)
            if leaf is None:
                return False
            self._drop(leaf)
        self.used += tokens
        return True

    def release(self, tokens: int) -> None:
        self.used -= tokens

    def insert(self, node: Node, pieces: Iterable[Piece]) -> Node:
        """Hold `pieces` after `node`; returns the last one's node. The room must have been reserved and is kept by
        what is new; what another request has brought meanwhile gives its share back."""
        self._stamp += 1
        for piece in pieces:
            child = node.children.get(piece.key)
            if child is None:
                child = node.children[piece.key] = Node(node, piece.key, piece.tokens)
                self._leaves.discard(node)
                self._leaves.add(child)
            else:
                self.used -= piece.tokens
            child.stamp = self._stamp
            node = child
        return node

    def _drop(self, leaf: Node) -> None:
        assert leaf.parent is not None
        self._leaves.discard(leaf)
        del leaf.parent.children[leaf.key]
        self.used -= leaf.tokens
        if not leaf.parent.children and leaf.parent is not self._root:
            self._leaves.add(leaf.parent)
