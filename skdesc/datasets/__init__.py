"""Data sets: small ones in the package, larger ones in a data home."""

from ._bundled import (
    load_carbon_dimer,
    load_carbon_solids,
    load_ethanol_dynamics,
    load_organic_molecules,
)
from ._fetch import (
    fetch_acetylacetone,
    fetch_batio3,
    fetch_carbon_gap17,
    fetch_ethanol,
    fetch_gaas,
    fetch_hea25,
    fetch_iron_gap22,
    fetch_jarvis_vacancy,
    fetch_mlearn,
    fetch_monbtaw,
    fetch_perov5,
    fetch_qm7,
    fetch_qm9_500,
    get_data_home,
)

__all__ = [
    "fetch_acetylacetone",
    "fetch_batio3",
    "fetch_carbon_gap17",
    "fetch_ethanol",
    "fetch_gaas",
    "fetch_hea25",
    "fetch_iron_gap22",
    "fetch_jarvis_vacancy",
    "fetch_mlearn",
    "fetch_monbtaw",
    "fetch_perov5",
    "fetch_qm7",
    "fetch_qm9_500",
    "get_data_home",
    "load_carbon_dimer",
    "load_carbon_solids",
    "load_ethanol_dynamics",
    "load_organic_molecules",
]
