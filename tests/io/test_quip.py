"""Potentials of QUIP: what we write is what it evaluates, what it writes is what we evaluate."""

import os
import re
from hashlib import md5
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from helpers.lengths import LENGTHS
from helpers.potentials import crystals, fit_potential

from skdesc import (
    SOAPTransformer,
)
from skdesc.gaussian_process import select_batch
from skdesc.io import load, read_quip_xml, save, write_quip_xml
from skdesc.io._quip_packing import FACTOR, n_elements, places

CU_DIMER = {
    ("equispaced", 2.5, False): "4.4077644222e-03 1.87e-17 7.1479838490e-05 5.9626197986e-12 "
                                "5.7958715816e-07 9.5029472650e-07",
    ("equispaced", 2.5, True): "9.9986850174e-01 4.24e-15 1.6214668519e-02 1.3525758533e-09 "
                               "1.3147502633e-04 2.1556727479e-04",
    ("equispaced", 3.7, False): "4.4077345965e-03 1.14e-15 5.5383552588e-04 3.6444509623e-10 "
                                "3.4794947723e-05 5.8083571441e-05",
    ("quip_gto", 2.5, False): "7.7634858263e-03 4.0904526015e-05 -1.9387011595e-02 "
                              "1.7220853153e-04 2.4206666115e-02 3.6249996298e-04",
    ("quip_gto", 2.5, True): "2.4281610770e-01 1.2793580122e-03 -6.0636147224e-01 "
                             "5.3861121505e-03 7.5710429282e-01 1.1337797482e-02",
    ("quip_polynomial", 2.5, False): "1.1686137253e-03 1.6264562007e-04 -8.2759123493e-03 "
                                     "-1.1207263162e-04 2.9304261849e-02 3.8612397780e-05",
}
WATER = {
    ("equispaced", 0): "8.9765165436e-02 1.13e-24 1.3520085988e-07 3.60e-19 1.02e-13 5.73e-14 "
    "4.0424591652e-01 0 4.3052885272e-07 0 9.1023483456e-01 0 0 0 0 0 0 0 0 0",
    ("equispaced", 1): "9.7639465090e-01 1.92e-20 3.4691144162e-05 6.11e-15 6.1628537300e-10 "
    "9.7456165304e-10 2.1470042379e-01 1.37e-22 5.3940024088e-06 3.10e-17 2.3605348480e-02 "
    "7.89e-25 2.2865964345e-07 3.10e-17 5.75e-12 6.98e-12 3.5553473295e-08 2.52e-19 2.68e-14 "
    "4.01e-14",
    ("quip_gto", 0): "1.0465118858e-01 4.0819549772e-02 1.3850164041e-02 -1.5337369024e-02 "
    "9.1650676198e-04 2.8813998427e-03 1.9356936795e-01 0 1.8114751726e-02 0 1.7901899021e-01 0 "
    "-3.8670111435e-01 0 -3.6188549629e-02 0 -5.0576979868e-01 0 7.1445797161e-01 0",
    ("quip_gto", 1): "2.9983989450e-01 1.7311477792e-02 -6.3243705095e-01 -1.1695271860e-03 "
    "6.6698366487e-01 3.9505403734e-05 1.3797242539e-01 2.6670936486e-02 -2.0578096021e-01 "
    "-1.2740880605e-03 3.1744258380e-02 3.2927250745e-02 1.2911837536e-02 -7.0860779279e-03 "
    "-1.9257545983e-02 3.3850657207e-04 4.2012249636e-03 -1.2371949187e-02 2.7800761611e-04 "
    "2.3242925424e-03",
}
MINIMAL = """<ex>
<Potential label="ex" init_args="IP GAP label=ex"/>
<GAP_params label="ex" gap_version="1426512068">
<GAP_data><e0 Z="29" value="-3.0"/></GAP_data>
<gpSparse label="ex" n_coordinate="1" fitted="T">
<gpCoordinates label="ex1" dimensions="7" signal_variance="0.5" signal_mean="0.0" sparsified="T"
 n_permutations="1" covariance_type="2" zeta="2.0" n_sparseX="2">
<descriptor>soap cutoff=4.0 n_max=2 l_max=1 atom_sigma=0.5 cutoff_transition_width=0.5
 radial_basis=EQUISPACED_GAUSS n_species=1 species_Z=29 Z=29</descriptor>
<permutation i="1"> 1 </permutation>
<sparseX i="1" alpha="1.5" sparseCutoff="1.0"> 0.8 0.1 0.5 0.2 0.2 0.1 0.0 </sparseX>
<sparseX i="2" alpha="-0.75" sparseCutoff="1.0"> 0.6 0.0 0.7 0.1 0.3 0.2 0.0 </sparseX>
</gpCoordinates>
</gpSparse>
</GAP_params>
</ex>
"""


def in_their_order(atoms, order, **parameters):
    """Our features of all atoms as QUIP packs them."""
    soap = SOAPTransformer(
        order, **LENGTHS, cutoff=4.0, n_max=2, l_max=1, **parameters
    )
    values = soap.fit_transform([atoms]).values
    packed = np.zeros((len(values), n_elements(len(order), 2, 1)))
    packed[:, places(order, 2, 1)] = values
    return packed[:, :-1]


def numbers(text):
    return np.array(text.split(), dtype=float)


def dimer(distance, symbol="Cu"):
    return Atoms([symbol] * 2, positions=[[0, 0, 0], [0, 0, distance]])


@pytest.mark.parametrize("case", CU_DIMER)
def test_descriptor_of_a_dimer(case):
    basis, distance, normalize = case
    found = in_their_order(dimer(distance), [29], radial_basis=basis, normalize=normalize)
    found = found if normalize else found / FACTOR
    expected = numbers(CU_DIMER[case])
    for row in found:
        np.testing.assert_allclose(row, expected, rtol=2e-10, atol=1e-10)


@pytest.mark.parametrize("case", WATER)
def test_descriptor_of_water(case):
    basis, center = case
    water = Atoms("OH2", positions=[[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    found = in_their_order(water, [1, 8], radial_basis=basis)[center]
    np.testing.assert_allclose(found, numbers(WATER[case]), rtol=2e-10, atol=1e-10)


@pytest.mark.parametrize("order", [[29], [8, 1], [3, 79, 29]])
def test_every_place_is_taken_once(order):
    found = np.sort(places(order, 3, 2))
    np.testing.assert_array_equal(found, np.arange(n_elements(len(order), 3, 2) - 1))


def test_lengths_that_fit_has_found_are_written(tmp_path):
    frames = crystals(4)
    lengths = dict.fromkeys(("cutoff", "cutoff_width", "atom_sigma", "radial_scaling"), "auto")
    model = fit_potential(frames, radial_basis="equispaced", n_sparse=5, **lengths)
    write_quip_xml(model, tmp_path / "auto.xml")
    again = read_quip_xml(tmp_path / "auto.xml")
    assert again[0].cutoff == model[0].cutoff_
    np.testing.assert_allclose(again.predict(frames), model.predict(frames), atol=1e-10)


def test_the_minimal_file(tmp_path):
    path = tmp_path / "ex.xml"
    path.write_text(MINIMAL)
    model = read_quip_xml(path)
    for distance, energy, force in ((2.5, -5.650449021242182, 0.019645057421),
                                    (3.7, -5.623991490017145, -0.123923523738)):
        found, forces = model.predict([dimer(distance)], return_forces=True)
        assert found[0] == pytest.approx(energy, abs=1e-10)
        assert forces[0][0, 2] == pytest.approx(force, abs=1e-9)
    with pytest.raises(ValueError, match="Al"):
        model.predict([dimer(2.5, "Al")])
    with pytest.raises(ValueError, match="weights alone, which tell nothing of its uncertainty"):
        model.predict([dimer(2.5)], return_std=True)
    with pytest.raises(ValueError, match="weights alone"):
        select_batch(model, [dimer(2.5)], 1)
    with pytest.raises(ValueError, match="without what it has seen"):
        model[-1].solve()
    save(model, tmp_path / "ex.skd")
    again = load(tmp_path / "ex.skd")
    np.testing.assert_array_equal(again.predict([dimer(2.5)]), model.predict([dimer(2.5)]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('zeta="2.0"', 'zeta=" .2D+001 "'),
        ('alpha="1.5"', 'alpha="15.E-001"'),
        ("0.8 0.1 0.5 0.2 0.2 0.1 0.0", ".8\n.1D+000\n5.0E-01 0.2\n0.2 0.1 0"),
        ("0.8 0.1 0.5 0.2 0.2 0.1 0.0", '<sparseX_slice start="5" end="7">0.2 0.1 0.0'
         '</sparseX_slice><sparseX_slice start="1" end="4">0.8 0.1 0.5 0.2</sparseX_slice>'),
        ("n_species=1 species_Z=29 Z=29", 'n_species=1 species_Z={29 } n_Z=1 Z="29"'),
        ("n_species=1 species_Z=29 Z=29", "Z=29 zeta=7 n_sparse=3 unknown=x"),
        ("n_max=2", "n_max=9 n_max=2"),
        ("soap cutoff", "soap cutoff_dexp=0 average=F central_reference_all_species=F cutoff"),
        ("radial_basis=EQUISPACED_GAUSS", "normalise=TRUE basis_error_exponent=10"),
        (' zeta="2.0"', ""),
        ('<e0 Z="29" value="-3.0"/>', '<e0 Z="13" value="-7"/><e0 Z="29" value="-3"/>'),
        ('<GAP_data><e0 Z="29" value="-3.0"/></GAP_data>', '<GAP_data e0="-3" do_core="F"/>'),
    ],
)
def test_ways_to_write_the_same(old, new, tmp_path):
    path = tmp_path / "ex.xml"
    text = MINIMAL.replace(old, new)
    assert text != MINIMAL
    if new == "":
        text = text.replace("<permutation", "<theta> 2.0 </theta><permutation")
    path.write_text(text)
    assert read_quip_xml(path).predict([dimer(2.5)])[0] == pytest.approx(-5.650449021242182)


def test_points_in_a_file_beside(tmp_path):
    values = re.findall(r"> ([\d. ]+) </sparseX>", MINIMAL)
    content = "\n".join(" ".join(values).split())
    beside = tmp_path / "ex.xml.sparseX.ex1"
    beside.write_text(content)
    text = re.sub(r"> [\d. ]+ </sparseX>", "></sparseX>", MINIMAL)
    checksum = md5(content.encode(), usedforsecurity=False).hexdigest()
    path = tmp_path / "ex.xml"

    def named(name, checksum):
        more = f'sparseX_filename="{name}" sparseX_md5sum="{checksum}" n_sparseX'
        path.write_text(text.replace("n_sparseX", more))
        return path

    model = read_quip_xml(named(beside.name, checksum))
    assert model.predict([dimer(2.5)])[0] == pytest.approx(-5.650449021242182)
    with pytest.raises(ValueError, match=r"MD5 sum .* belongs to another potential or was changed"):
        read_quip_xml(named(beside.name, "0" * 32))
    with pytest.raises(ValueError, match="beside the XML file, without a path"):
        read_quip_xml(named(f"../{tmp_path.name}/{beside.name}", checksum))
    beside.unlink()
    with pytest.raises(ValueError, match=r"cannot be read .* put it beside the XML file"):
        read_quip_xml(named(beside.name, checksum))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("IP GAP label=ex", "Sum init_args_pot1={IP Glue} init_args_pot2={IP GAP}", "plain"),
        ("IP GAP label=ex", "IP GAP label=ex E_scale=2.0", "E_scale"),
        ("IP GAP label=ex", "IP GAP label=ex r_scale=1.1", "r_scale"),
        ("<GAP_data>", '<GAP_data do_core="T">', "core potential"),
        ('fitted="T"', 'fitted="F"', "not fitted"),
        ('covariance_type="2"', 'covariance_type="1"', "covariance_type=1"),
        ('n_permutations="1"', 'n_permutations="2"', "n_permutations"),
        ("soap cutoff", "distance_2b cutoff", "'distance_2b'"),
        ("soap cutoff", "soap nonsense cutoff", "'nonsense'"),
        ("soap cutoff", "soap average=T cutoff", "average=T"),
        ("soap cutoff", "soap average=.true. cutoff", "neither T nor F"),
        ("soap cutoff", "soap nu_R=1 cutoff", "nu_R=1"),
        ("soap cutoff", "soap coupling=F cutoff", "coupling=F"),
        ("soap cutoff", "soap Z_map={1,8} cutoff", "Z_map"),
        ("soap cutoff", "soap diagonal_radial=T cutoff", "diagonal_radial=T"),
        ("soap cutoff", "soap R_mix=T K=5 cutoff", "K=5|R_mix=T"),
        ("soap cutoff", "soap covariance_sigma0=0.1 cutoff", "covariance_sigma0=0.1"),
        ("soap cutoff", "soap cutoff_dexp=2 cutoff_rate=0 cutoff", "cutoff_dexp=2"),
        ("soap cutoff", "soap cutoff_dexp=-1 cutoff", "cutoff_dexp=-1"),
        ("soap cutoff", "soap basis_error_exponent=8 cutoff", "basis_error_exponent=8"),
        ("EQUISPACED_GAUSS", "ANOTHER", "radial_basis=ANOTHER"),
        ("n_species=1 species_Z=29", "n_species=2 species_Z=29", "n_species=2"),
        ("species_Z=29", "species_Z=28", "not in species_Z"),
        ("species_Z=29 Z=29", "species_Z=0 n_Z=2 Z={28 29}", "one channel for all elements"),
        (' zeta="2.0"', "", "no zeta"),
        ('zeta="2.0"', 'zeta="0.5"', "zeta=0.5"),
        ('dimensions="7"', 'dimensions="8"', "dimensions=8"),
        ('n_sparseX="2"', 'n_sparseX="3"', "n_sparseX=3"),
        ('n_coordinate="1"', 'n_coordinate="2"', "n_coordinate"),
        ("0.1 0.0 <", "0.1 <", "incomplete"),
        ("0.1 0.0 <", "0.1 0.2 <", "covariance_sigma0 other than 0"),
        ("0.1 0.0 <", "nan 0.0 <", "where numbers must be"),
        ('alpha="1.5"', 'alpha="inf"', "'inf' in place of a number"),
        ('alpha="1.5"', 'alpha="1_5"', "'1_5' in place of a number"),
        ('alpha="1.5"', 'alpha="1e308"', "at most 1e"),
        ('alpha="1.5"', 'alpha="\u0661.5"', "in place of a number"),
        ("0.1 0.0 <", "1_0 0.0 <", "where numbers must be"),
        ("0.1 0.0 <", "1e400 0.0 <", "larger than"),
        ('signal_variance="0.5"', 'signal_variance="0"', "signal_variance=0"),
        ('signal_variance="0.5"', 'signal_variance="-1"', "signal_variance=-1"),
        ('signal_variance="0.5"', 'signal_variance="1e308"', "at most 1e"),
        ('signal_variance="0.5"', 'signal_variance="1e-300"', "from 1e-30 to"),
        ('signal_mean="0.0"', 'signal_mean="-1"', "signal_mean=-1, but only 0"),
        ('signal_mean="0.0"', 'signal_mean="x"', "in place of a number"),
        ('i="2" alpha', 'i="1" alpha', "1 to 2, each once"),
        ('i="2" alpha', 'i="3" alpha', "1 to 2, each once"),
        ('i="2" alpha', 'i="x" alpha', "in place of an integer"),
        ('sparseCutoff="1.0"', 'sparseCutoff="-1"', "must not be negative"),
        ('signal_variance="0.5"', 'signal_variance="1_0"', "in place of a number"),
        ('zeta="2.0"', 'zeta="1e308"', "at most 1e"),
        ('zeta="2.0"', 'zeta="1e6"', "from 1 to 1000"),
        ('value="-3.0"', 'value="-infinity"', "in place of a number"),
        ('Z="29" value', 'Z="2_9" value', "in place of an integer"),
        ('Z="29" value', 'Z="0" value', "e0 of Z=0"),
        ('Z="29" value', 'Z="-29" value', "e0 of Z=-29"),
        ("</GAP_data>", '<e0 Z="29" value="1"/></GAP_data>', "each once"),
        ('dimensions="7"', 'dimensions="7.0"', "in place of an integer"),
        ("species_Z=29 Z=29", "species_Z=-29 Z=-29", "atomic numbers"),
        ("species_Z=29 Z=29", "species_Z=200 Z=200", "atomic numbers"),
        ("n_max=", "n_max=1_", "in place of an integer"),
        ('alpha="1.5"', 'beta="1.5"', "'alpha' is missing"),
        ("1426512068", "1400000000", "did not weight"),
        ('gap_version="1426512068"', "", "did not weight"),
        ("</ex>", "", "a complete XML"),
        ("<ex>", '<!DOCTYPE ex [<!ENTITY a "b">]><ex>', "document type"),
        ('<Potential label="ex"', '<Potential label="other"', "0 elements GAP_params"),
        ("<Potential", '<Potential label="a" init_args="IP GAP"/><Potential', "several"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(old, new, message, tmp_path):
    path = tmp_path / "ex.xml"
    text = MINIMAL.replace(old, new)
    assert text != MINIMAL
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"ex\.xml (cannot be read|is not|declares).*({message})"):
        read_quip_xml(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be",
                                      "latin-1"])
def test_document_types_in_any_encoding(encoding, tmp_path):
    """Entities that stand for entities make gigabytes of a few lines."""
    entities = '<!ENTITY a "lol">' + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghi")
    )
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff", "latin-1": ""}.get(encoding, "")
    named = encoding.partition("-sig")[0].replace("-le", "").replace("-be", "")
    head = f'{mark}<?xml version="1.0" encoding="{named}"?>'
    path = tmp_path / "ex.xml"
    text = MINIMAL.replace('alpha="1.5"', 'alpha="&i;"')
    path.write_bytes(f"{head}<!DOCTYPE ex [{entities}]>{text}".encode(encoding))
    with pytest.raises(ValueError, match="declares a document type"):
        read_quip_xml(path)
    path.write_bytes(f"{head}{MINIMAL}".encode(encoding))
    assert read_quip_xml(path).predict([dimer(2.5)])[0] == pytest.approx(-5.650449021242182)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_what_stands_beside_is_a_file(tmp_path):
    text = re.sub(r"> [\d. ]+ </sparseX>", "></sparseX>", MINIMAL)
    path, beside = tmp_path / "ex.xml", tmp_path / "points"
    path.write_text(text.replace("n_sparseX", f'sparseX_filename="{beside.name}" n_sparseX'))
    os.mkfifo(beside)
    with pytest.raises(ValueError, match="must be a regular file"):
        read_quip_xml(path)
    for target in ("/dev/zero", "/dev/stdin", tmp_path):
        beside.unlink()
        beside.symlink_to(target)
        with pytest.raises(ValueError, match=r"must be a (regular )?file"):
            read_quip_xml(path)
    beside.unlink()
    beside.write_text("0.1 " * 10**4)
    with pytest.raises(ValueError, match="fewer are enough"):
        read_quip_xml(path)


def test_a_center_that_belongs_to_all_species_is_refused(tmp_path):
    path = tmp_path / "p.xml"
    write_quip_xml(fit_potential(crystals(4), n_sparse=2, n_max=2, l_max=1,
                                 radial_basis="equispaced"), path)
    text = path.read_text()
    for old, new in (("all_species=F", "all_species=T"), ("1426512068", "1425000000")):
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match="central_reference_all_species=T"):
            read_quip_xml(path)
