"""The kernels of Potts fields against their naive twins, bit by bit."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from segmix.errors import OptionError
from segmix.potts.chains import SEEN_EVERY
from segmix.potts.clusters import bind, root_of
from segmix.potts.kernels import sweep_table
from segmix.potts.lattice import Lattice
from segmix.potts.philox import fill_words, keys_of
from segmix.potts.states import number_states
from segmix.potts.sweeps import PLAIN_EVERY, UNSEEN, Sweeps

from . import naive_potts as naive

# Reference vectors of Random123 (Salmon et al. 2011), file kat_vectors, philox4x32 10: counter, key, output.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN)
def test_the_generator_gives_its_reference_vectors(counter: Any, key: Any, output: Any) -> None:
    assert naive.philox(counter, key) == output
    if counter[0] == 0:
        words = np.zeros((4, 3), np.uint32)
        fill_words(np.array(key, np.uint32), *counter[1:], words)
        assert tuple(words[:, 0].tolist()) == output
        assert tuple(words[:, 2].tolist()) == naive.philox((2, *counter[1:]), key)


def test_rows_of_words_are_the_generator() -> None:
    words = np.zeros((4, 5), np.uint32)
    keys = np.array([0xA4093822, 0x299F31D0], np.uint32)
    fill_words(keys, 0x85A308D3, 0x13198A2E, 0x03707344, words)
    for block in range(5):
        expected = naive.philox((block, 0x85A308D3, 0x13198A2E, 0x03707344), tuple(keys.tolist()))
        assert tuple(words[:, block].tolist()) == expected


SHAPES = [(1, 1), (1, 7), (6, 1), (5, 4), (9, 18), (3, 4, 5), (1, 2, 3)]
LATTICES = [
    (shape, connectivity, spacing)
    for shape in SHAPES
    for connectivity in range(1, len(shape) + 1)
    for spacing in (None, (1.0, 2.0, 2.5)[: len(shape)])
]


def lattice_of(case: tuple[Any, ...], rng: np.random.Generator | None = None) -> Lattice:
    shape, connectivity, spacing = case
    domain = None if rng is None else rng.random(shape) < 0.8
    return Lattice(shape, connectivity, spacing, domain)


@pytest.mark.parametrize("case", LATTICES, ids=str)
@pytest.mark.parametrize("holes", [False, True])
def test_sweeps_are_their_naive_twins(case: tuple[Any, ...], holes: bool) -> None:
    rng = np.random.default_rng(7)
    lattice = lattice_of(case, rng if holes else None)
    codes = rng.integers(0, 4, lattice.shape).astype(np.uint8)
    domain = np.ones(lattice.shape, bool) if lattice.domain is None else lattice.domain
    for n_classes, by_table in itertools.product((2, 3, 5), (True, False)):
        sweeps = Sweeps(lattice, codes, 4, n_classes, by_table=by_table)
        if by_table and sweeps.states is None:
            continue
        ours = sweeps.lay_out(rng.integers(0, n_classes, lattice.shape).astype(np.uint8))
        theirs, shares = lattice.join(ours).copy(), rng.dirichlet(np.ones(n_classes), 4)
        keys, table = keys_of(3, n_classes), sweeps.prepare()
        for number in (0, 1, 2, 4):
            sweeps.sweep(ours, shares, 0.7, keys=keys, number=number, table=table)
            naive.sweep(lattice, theirs, codes, shares, 0.7, keys, number, by_table)
        np.testing.assert_array_equal(lattice.join(ours)[domain], theirs[domain])
        assert (lattice.join(ours)[~domain] == 255).all()
        assert sweeps.agreements(ours) == pytest.approx(naive.agreements(lattice, theirs))
        counts = np.zeros((4, n_classes), int)
        np.add.at(counts, (codes[domain], theirs[domain]), 1)
        np.testing.assert_array_equal(sweeps.count(ours), counts)


@pytest.mark.parametrize("more", [0, 1])
def test_the_second_half_of_the_bits_decides_ties(more: int) -> None:
    """A cut at the very bits of one pixel, or one above them."""
    lattice, keys, row, place = Lattice((8, 40)), keys_of(1, 0), 2, 13
    bits = naive.random_bits(keys, row=row, number=0, plane=0, place=place, width=20, table=True)
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, 2, by_table=True)
    table = sweeps.prepare()
    assert table is not None
    table.high[:], table.low[:] = (bits + more) >> 16, (bits + more) & 0xFFFF
    labels = sweeps.lay_out(np.zeros(lattice.shape, np.uint8))
    sweep_table(labels, sweeps.codes, sweeps.grid, table, np.uint16(0), keys, 0, UNSEEN)
    assert lattice.join(labels)[2 * row, 2 * place] == 1 - more


def test_probabilities_seen_are_the_conditional_ones() -> None:
    rng = np.random.default_rng(1)
    lattice, n_classes = Lattice((6, 7)), 3
    codes = rng.integers(0, 3, lattice.shape).astype(np.uint8)
    shares = rng.dirichlet(np.ones(n_classes), 3)
    assert SEEN_EVERY % PLAIN_EVERY == 0  # so that to look at probabilities changes no chain
    for by_table, number in itertools.product((True, False), (0, 1)):
        sweeps = Sweeps(lattice, codes, 3, n_classes, by_table=by_table)
        labels = sweeps.lay_out(rng.integers(0, n_classes, lattice.shape).astype(np.uint8))
        before = lattice.join(labels).copy()
        seen = np.zeros((n_classes - 1, *labels.shape), np.uint32)
        sweeps.sweep(
            labels, shares, 0.6, keys=keys_of(1, 0), number=number, table=sweeps.prepare(), seen=seen
        )
        first = lattice.parities[lattice.order[0]]
        for site in naive.sites(lattice):
            if tuple(x % 2 for x in site) != first:
                continue
            p = naive.conditional(lattice, before, site, shares[codes[site]], 0.6)
            ours = [lattice.join(part)[site] / 65536 for part in seen]
            np.testing.assert_allclose(ours, np.cumsum(p)[:-1], atol=2**-15)


def test_chains_in_threads_are_the_same_as_one_after_the_other() -> None:
    lattice = Lattice((90, 111), connectivity=2)
    sweeps = Sweeps(lattice, np.zeros(lattice.shape, np.uint8), 1, 3)

    def chain(number: int) -> np.ndarray:
        labels, table = sweeps.lay_out(np.zeros(lattice.shape, np.uint8)), sweeps.prepare()
        for step in range(20):
            sweeps.sweep(labels, np.ones((1, 3)), 0.3, keys=keys_of(5, number), number=step, table=table)
        return labels

    alone = [chain(number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(chain, range(4)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (alone[0] != alone[1]).any()


BETA = 0.9  # of clusters that are neither single pixels nor all of them


def clustered(
    case: tuple[Any, ...], holes: bool, n_classes: int
) -> tuple[Lattice, Sweeps, np.ndarray, np.ndarray, np.ndarray]:
    """A lattice, its sweeps, labels, shares (n_levels, n_classes) and keys."""
    rng = np.random.default_rng(n_classes)
    lattice = lattice_of(case, rng if holes else None)
    sweeps = Sweeps(lattice, rng.integers(0, 4, lattice.shape).astype(np.uint8), 4, n_classes)
    labels = lattice.join(sweeps.lay_out(rng.integers(0, n_classes, lattice.shape).astype(np.uint8)))
    return lattice, sweeps, labels, rng.dirichlet(np.ones(n_classes), 4), keys_of(4, n_classes)


def roots(lattice: Lattice, sweeps: Sweeps, labels: np.ndarray, keys: np.ndarray, number: int) -> Any:
    """By the kernel: the first pixel of every pixel's cluster, in memory (*shape)."""
    planes = sweeps.lay_out(labels)
    parents = np.full(planes.size, -1, np.int32)
    bind(planes, sweeps.grid, -np.expm1(-BETA * lattice.couplings), keys, number, parents)
    assert (parents <= np.arange(parents.size)).all()
    found = np.array([root_of.py_func(parents, t) for t in range(parents.size)])
    assert (parents[found] == found).all()
    return lattice.join(found.reshape(planes.shape))


def naive_roots(lattice: Lattice, found: list[list[Any]]) -> Any:
    """The same of the twin's clusters; pixels that don't count are alone."""
    where = lattice.join(
        np.arange(lattice.n_planes * int(np.prod(lattice.padded))).reshape(lattice.n_planes, -1)
    )
    for cluster in found:
        for site in cluster[::-1]:
            where[site] = where[cluster[0]]
    return where


@pytest.mark.parametrize("case", LATTICES, ids=str)
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_clusters_are_their_naive_twins(case: tuple[Any, ...], holes: bool, n_classes: int) -> None:
    lattice, sweeps, theirs, shares, keys = clustered(case, holes, n_classes)
    ours, codes = sweeps.lay_out(theirs), lattice.join(sweeps.codes)
    for number in range(3):
        found = naive.clusters(lattice, theirs, BETA, keys, number)
        np.testing.assert_array_equal(
            roots(lattice, sweeps, theirs, keys, number), naive_roots(lattice, found)
        )
        sweeps.sweep_clusters(ours, np.log(shares), BETA, keys=keys, number=number)
        naive.relabel(lattice, theirs, codes, shares, found, keys, number)
        np.testing.assert_array_equal(lattice.join(ours), theirs)


@pytest.mark.parametrize("alike", [lambda a, b: True, lambda a, b: a != b])
@pytest.mark.parametrize("case", [((9, 18), 1, None), ((3, 4, 5), 2, (1.0, 2.0, 2.5))], ids=str)
def test_a_twin_that_binds_unequal_neighbors_differs(case: tuple[Any, ...], alike: Any) -> None:
    lattice, sweeps, labels, _, keys = clustered(case, True, 4)
    found = naive.clusters(lattice, labels, BETA, keys, 0, alike)
    assert (roots(lattice, sweeps, labels, keys, 0) != naive_roots(lattice, found)).any()


def test_a_twin_that_draws_by_the_last_pixel_differs() -> None:
    lattice, sweeps, theirs, shares, keys = clustered(((9, 18), 1, None), True, 4)
    ours, found = sweeps.lay_out(theirs), naive.clusters(lattice, theirs, BETA, keys, 0)
    sweeps.sweep_clusters(ours, np.log(shares), BETA, keys=keys, number=0)
    backward = [cluster[::-1] for cluster in found]
    naive.relabel(lattice, theirs, lattice.join(sweeps.codes), shares, backward, keys, 0)
    assert (lattice.join(ours) != theirs).any()


@pytest.mark.parametrize("case", [*LATTICES, ((1100, 3), 2, None), ((600, 2), 1, (1.0, 3.0))], ids=str)
@pytest.mark.parametrize("n_classes", [1, 2, 4])
def test_agreements_are_counted_exactly(case: tuple[Any, ...], n_classes: int) -> None:
    """Also of more rows than a byte counts; couplings are floats, whose sums are rounded."""
    lattice, sweeps, labels, _, _ = clustered(case, True, n_classes)
    ours, twin = sweeps.agreements(sweeps.lay_out(labels)), naive.agreements(lattice, labels)
    assert ours == (twin if case[2] is None else pytest.approx(twin, rel=1e-12))


def test_a_twin_whose_edges_meet_counts_more() -> None:
    _, sweeps, labels, *_ = clustered(((9, 18), 1, None), False, 2)
    wrapped = sum(int((labels == np.roll(labels, 1, axis)).sum()) for axis in (0, 1))
    assert sweeps.agreements(sweeps.lay_out(labels)) < wrapped


@pytest.mark.parametrize("case", LATTICES, ids=str)
def test_lattices_count_their_pairs(case: tuple[Any, ...]) -> None:
    lattice = lattice_of(case, np.random.default_rng(2))
    assert lattice.domain is not None
    every = naive.agreements(lattice, np.zeros(lattice.shape, int))
    assert lattice.n_pairs == pytest.approx(every)
    assert lattice.n_pixels == lattice.domain.sum()


def test_states_hold_every_neighborhood() -> None:
    lattice = Lattice((5, 5), connectivity=2)
    states = number_states(lattice, 3)
    assert states is not None
    for counts in itertools.product(range(9), repeat=3):
        if sum(counts) <= 8:
            labels = np.repeat([0, 1, 2], counts)
            total = int(states.base + states.strides[range(len(labels)), labels].sum())
            np.testing.assert_array_equal(states.agreements[states.state_of[total]], counts)
    assert number_states(lattice, 16) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3,)}, r"shape must be two or three sizes of at least 1, got \(3,\)"),
        ({"shape": (3, 0)}, "shape must be two or three sizes"),
        ({"connectivity": 3}, "connectivity must be a whole number from 1 to 2, got 3"),
        ({"spacing": (1.0, -1.0)}, "spacing must be 2 positive distances"),
        ({"spacing": (1.0,)}, "spacing must be 2 positive distances"),
        ({"domain": np.ones((2, 2), bool)}, r"domain must have the shape \(3, 4\), got \(2, 2\)"),
    ],
)
def test_wrong_lattices(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Lattice(**{"shape": (3, 4)} | options)
