"""Exact search by meaning: vectors of some memories compared with one, block by block.

What is read comes as one long text or one long blob for each block: a row for each memory would take more time than
all that is done with it.
"""

from __future__ import annotations

import sqlite3
from functools import cache

import numpy as np
from numpy.typing import NDArray

from joyvl_server.store.memories.vectors import STORED, Vector, nearness

Numbers = NDArray[np.int64]
NONE: Numbers = np.zeros(0, np.int64)
Matrix = NDArray[np.float32]
BLOCK = 512
"""memories that are compared at once: few enough that what is read stays near the processor"""
DENSE = 3
"""Where of all between the first and the last at least one in this many is asked for, all of them are read."""


def numbers_of(listed: str | None) -> Numbers:
    """Of what SQLite's `group_concat` makes of whole numbers."""
    return np.fromstring(listed, np.int64, sep=",") if listed else NONE


def nearest(
    connection: sqlite3.Connection, embedder: str, vector: Vector, numbers: Numbers, limit: int
) -> list[tuple[int, float]]:
    """`seq` and cosine of the nearest of these, nearest first. Vectors of another length are left out."""
    ordered = np.sort(numbers)
    found: list[tuple[Numbers, Vector]] = []
    unit = vector / max(float(np.linalg.norm(vector)), 1e-9)
    for begin in range(0, ordered.size, BLOCK):
        there, matrix = _read(connection, embedder, vector.size, ordered[begin : begin + BLOCK])
        lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
        found.append((there, matrix @ unit / np.maximum(lengths, np.float32(1e-9))))
    if not found:
        return []
    seqs, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
    best = range(seqs.size) if seqs.size <= 2 * limit else np.argpartition(-cosines, 2 * limit)[: 2 * limit]
    return sorted([(int(seqs[n]), float(cosines[n])) for n in best], key=nearness)[:limit]


def _read(connection: sqlite3.Connection, embedder: str, size: int, wanted: Numbers) -> tuple[Numbers, Matrix]:
    """Those of `wanted` (ascending) that have a vector of this length, and a row for each."""
    first, last = int(wanted[0]), int(wanted[-1])
    conditions = "embedder = ? AND length(vector) = ? AND seq "
    values: list[object] = [embedder, size * STORED.itemsize]
    if dense := wanted.size * DENSE > last - first:
        conditions += "BETWEEN ? AND ?"
        values += [first, last]
    else:
        conditions += "IN (SELECT value FROM json_each(?))"
        values.append(f"[{','.join(map(str, wanted.tolist()))}]")
    listed, joined = (_joined if joins_blobs() else _rows)(connection, conditions, values)
    seqs = numbers_of(listed)
    matrix = np.frombuffer(joined, STORED).reshape(seqs.size, size)
    if dense and seqs.size > wanted.size:
        chosen = np.isin(seqs, wanted, assume_unique=True)
        seqs, matrix = seqs[chosen], matrix[chosen]
    return seqs, single(matrix)


def single(halves: NDArray[np.float16]) -> Matrix:
    """Half-precision floats as single ones, all at once where numpy takes one by one: their bits at the new places, and
    the exponent set right by a product. Not for infinities."""
    bits = np.left_shift(halves.view("<i2"), 13, dtype=np.int32)
    bits &= np.int32(-0x70002000)  # the sign and 15 bits
    floats: Matrix = bits.view(np.float32)
    floats *= np.float32(2.0**112)
    return floats


def _joined(connection: sqlite3.Connection, conditions: str, values: list[object]) -> tuple[str | None, bytes]:
    query = f"SELECT group_concat(seq), CAST(group_concat(vector, '') AS BLOB) FROM memory_vectors WHERE {conditions}"
    listed, joined = connection.execute(query, values).fetchone()
    return listed, joined or b""


def _rows(connection: sqlite3.Connection, conditions: str, values: list[object]) -> tuple[str | None, bytes]:
    rows = connection.execute(f"SELECT seq, vector FROM memory_vectors WHERE {conditions}", values).fetchall()
    return ",".join(str(row[0]) for row in rows), b"".join(row[1] for row in rows)


@cache
def joins_blobs() -> bool:
    """Does this SQLite keep bytes of 0 where it joins blobs? Old ones do not."""
    connection = sqlite3.connect(":memory:")
    try:
        blobs = "(SELECT x'00ff00' AS blob UNION ALL SELECT x'c300')"
        joined = connection.execute(f"SELECT CAST(group_concat(blob, '') AS BLOB) FROM {blobs}").fetchone()[0]
    finally:
        connection.close()
    return bool(joined == b"\x00\xff\x00\xc3\x00")
