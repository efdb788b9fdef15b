"""A trie of word n-grams in a file: which runs of tokens are terms, without making strings of them.

Tokens have numbers; a node of the trie is a run of tokens, a token's own node has its number. Edges
stand in a hash table like `term_table`'s: the key is the node's number above 32 bits of the next
token's number, plus one; 0 is an empty slot.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hotserve.lane import term_table

# An odd number near 2**32 over the golden ratio, to spread nodes over the table.
SPREAD = 0x9E3779B1
UNKNOWN = -1


def build(terms: Sequence[str]) -> dict[str, Any]:
    """The arrays of a trie whose nth term has the index n.

    Args:
        terms: tokens joined by single spaces; no token holds one.
    """
    runs = [term.split(" ") for term in terms]
    tokens = {token: index for index, token in enumerate(sorted({t for run in runs for t in run}))}
    indexes = [0] * len(tokens)
    edges: dict[int, int] = {}
    for index, run in enumerate(runs):
        node = tokens[run[0]]
        for token in run[1:]:
            key = (node << 32 | tokens[token]) + 1
            if key not in edges:
                edges[key] = len(indexes)
                indexes.append(0)
            node = edges[key]
        indexes[node] = index + 1
    size = 1 << max(1, 2 * len(edges)).bit_length()
    keys = array.array("Q", bytes(8 * size))
    children = array.array("I", bytes(4 * size))
    for key, child in edges.items():
        parent, number = divmod(key - 1, 1 << 32)
        slot = (parent * SPREAD + number) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot] = key
        children[slot] = child
    nodes = array.array("I", indexes)
    table = term_table.build(list(tokens))
    return {"tokens": table, "indexes": nodes, "edges": keys, "children": children}


class NgramTrie:
    """A trie in an open file.

    Attributes:
        tokens: finds a token's number.
        indexes: for each node, the index of its term plus one, or 0 where it is none.
        edges, children: the hash table: keys, and the nodes that they lead to.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.tokens = term_table.TermTable(arrays["tokens"])
        self.indexes: memoryview[int] = arrays["indexes"]
        self.edges: memoryview[int] = arrays["edges"]
        self.children: memoryview[int] = arrays["children"]

    def finder(self, minimum: int, maximum: int) -> Callable[[Sequence[int]], list[int]]:
        """A function from the numbers of a text's tokens to the indexes of its terms.

        Args:
            minimum, maximum: the lengths of runs, both included; at least 2 at most.
        """
        edges, children, indexes = self.edges, self.children, self.indexes
        mask = len(edges) - 1

        def find(tokens: Sequence[int]) -> list[int]:
            found = [indexes[t] for t in tokens if t >= 0] if minimum == 1 else []
            # Nodes of the runs of each length, by where they begin.
            nodes = tokens
            for length in range(2, maximum + 1):
                longer = []
                for node, token in zip(nodes, tokens[length - 1 :], strict=False):
                    child = UNKNOWN
                    if node >= 0 <= token:
                        key = (node << 32 | token) + 1
                        slot = (node * SPREAD + token) & mask
                        while edge := edges[slot]:
                            if edge == key:
                                child = children[slot]
                                break
                            slot = (slot + 1) & mask
                    longer.append(child)
                if length >= minimum:
                    found += [indexes[node] for node in longer if node >= 0]
                nodes = longer
            return [index - 1 for index in found if index]

        return find
