"""Make segmix/potts/agreements.json: mean agreements of large Potts fields, per pair and at the boundary.

    python benchmarks/potts_table.py                 all kinds that the table lacks
    python benchmarks/potts_table.py --kinds 2,2,1   classes, dimensions, connectivity; may be given again

E[S] is simulated by Swendsen-Wang on a small and a large lattice with free boundaries at each beta; bulk
and surface are the two unknowns of E[S] = bulk N d / 2 - surface m (see ``tabulated_normalizer``). For two
classes on the square lattice the bulk is Onsager's, and only the surface is simulated.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from segmix.potts.lattice import Lattice
from segmix.potts.normalizer import bulk_and_surface, ising_agreements, nodes_for, rising, simulate_agreements

TABLE = Path(__file__).parents[1] / "segmix" / "potts" / "agreements.json"
SIZES = {2: (32, 128), 3: (10, 26)}
N_NODES = 65
KINDS = [(k, ndim, c) for ndim, k in product((2, 3), range(2, 9)) for c in range(1, ndim + 1)]


def measure(n_classes: int, ndim: int, connectivity: int, *, n_sweeps: int) -> dict[str, list[float]]:
    """Bulk and surface at the nodes of one kind."""
    lattices = [Lattice((size,) * ndim, connectivity) for size in SIZES[ndim]]
    betas = nodes_for(lattices[0], n_classes, N_NODES)
    means = []
    for number, lattice in enumerate(lattices):
        sweeps = n_sweeps * (1 if number else 4)
        means.append(simulate_agreements(lattice, n_classes, betas, n_sweeps=sweeps, seed=number)[0])
    if (n_classes, ndim, connectivity) == (2, 2, 1):
        bulk = ising_agreements(betas)
        full = lattices[1].n_pixels * len(lattices[1].offsets)
        surface = (bulk * full / 2 - means[1]) / (full - 2 * lattices[1].n_pairs)
    else:
        bulk, surface = bulk_and_surface((lattices[0], lattices[1]), (means[0], means[1]))
    bulk[0], surface[0] = 1 / n_classes, 0.5 / n_classes
    rows = {"betas": betas, "bulk": np.minimum(rising(bulk), 1.0), "surface": surface}
    return {name: [float(f"{x:.7g}") for x in row] for name, row in rows.items()}


def main() -> None:
    """Measure the kinds asked for and add them to the table."""
    parser = argparse.ArgumentParser(description="mean agreements of large Potts fields")
    parser.add_argument("--kinds", nargs="*", metavar="K,D,C", help="default: all that are missing")
    parser.add_argument("--sweeps", type=int, default=2000)
    options = parser.parse_args()
    table = json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    asked = [tuple(map(int, text.split(","))) for text in options.kinds or []]
    for kind in asked or KINDS:
        name = "{} classes, {}D, connectivity {}".format(*kind)
        if asked or name not in table:
            table[name] = measure(*kind, n_sweeps=options.sweeps)
            TABLE.write_text(json.dumps(dict(sorted(table.items())), indent=0) + "\n", "utf-8")
            print(name, flush=True)


if __name__ == "__main__":
    main()
