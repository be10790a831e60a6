"""Extension modules; all metadata are in pyproject.toml.

Environment variables: SKDESC_DEBUG_CYTHON=1 adds bounds checks, SKDESC_CYTHON_COVERAGE=1 adds
line tracing, SKDESC_EXTRA_CFLAGS appends compiler flags.
After one of them has changed, build with --force.
"""

import os
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# those that take longest to compile come first
EXTENSIONS = [
    "skdesc.simd._simd_cy",
    "skdesc.invariants._environments_cy",
    "skdesc.invariants._jacobian_cy",
    "skdesc.neighbors._pairs_cy",
    "skdesc.neighbors._candidates_cy",
    "skdesc.invariants._packed_coefficients_cy",
    "skdesc.invariants._tensor_reduced_cy",
    "skdesc.invariants._power_spectrum_cy",
    "skdesc.density._expansion_cy",
    "skdesc.density._mixed_expansion_cy",
    "skdesc.invariants._describe_cy",
    "skdesc.invariants._scatter_cy",
    "skdesc.invariants._inner_cy",
    "skdesc.structures._content_cy",
    "skdesc.invariants._invariant_cy",
]
# Cython finds which files the others need
SIMD = [f"skdesc/simd/{name}" for name in ("simd.c", "simd.h", "simd_loops.h", "simd_products.h")]

DEBUG = bool(os.environ.get("SKDESC_DEBUG_CYTHON"))
COVERAGE = bool(os.environ.get("SKDESC_CYTHON_COVERAGE"))
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "linetrace": COVERAGE,
}


def count_cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BuildExt(build_ext):
    """Translate and compile what has changed, on all cores."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = count_cores()

    def run(self):
        if self.inplace:
            self.adopt_modules_in_place()
        super().run()

    def adopt_modules_in_place(self):
        """Take up-to-date modules beside their sources for built, as an installation left them."""
        for extension in self.extensions:
            file_name = self.get_ext_filename(extension.name)
            in_place, built = Path(file_name), Path(self.build_lib, file_name)
            if in_place.exists() and not built.exists():
                built.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(in_place, built)

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            sys.exit("skdesc cannot be built by Microsoft's compiler (MSVC), because its loops use "
                     "the vector types of GCC and Clang; build with Clang or GCC, or use Linux, "
                     "macOS or the Windows Subsystem for Linux")
        # in parallel only where processes fork: elsewhere this file would be run again
        translated = cythonize(
            self.extensions,
            compiler_directives=DIRECTIVES,
            nthreads=self.parallel if sys.platform == "linux" else 0,
            force=self.force,
        )
        flags = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
        if DEBUG:
            flags = ["-O1", "-g", "-UNDEBUG"]
        flags += os.environ.get("SKDESC_EXTRA_CFLAGS", "").split()
        for extension, source in zip(self.extensions, translated, strict=True):
            extension.sources, extension.depends = source.sources, source.depends
            extension.extra_compile_args += flags
        super().build_extensions()


def make_extensions():
    """The table above."""
    macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    if COVERAGE:
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]
    extensions = []
    for name in EXTENSIONS:
        simd = name == "skdesc.simd._simd_cy"
        sources = [name.replace(".", "/") + ".pyx", *SIMD[:simd]]
        depends = SIMD if simd else []
        extensions.append(
            Extension(name, sources, include_dirs=["skdesc/simd"], define_macros=macros,
                      depends=depends)
        )
    return extensions


if __name__ == "__main__":
    setup(ext_modules=make_extensions(), cmdclass={"build_ext": BuildExt})
