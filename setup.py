"""Extension modules; all metadata are in pyproject.toml.

Environment variables: SKDESC_NO_OPENMP=1 builds serial code, SKDESC_DEBUG_CYTHON=1 adds bounds
checks, SKDESC_CYTHON_COVERAGE=1 adds line tracing, SKDESC_EXTRA_CFLAGS appends compiler flags.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# module: (uses OpenMP, further files whose change asks for a rebuild)
KERNELS = [
    f"skdesc/utils/{name}"
    for name in ("kernels.h", "kernels_body.h", "kernels_products.h", "_kernels.pxd")
]
EXPANSION = [*KERNELS, "skdesc/density/_expansion_cy.pxd"]
INVARIANT = [*EXPANSION, "skdesc/invariants/_invariant_cy.pxd"]
EXTENSIONS = {
    "skdesc.utils._threads_cy": (True, []),
    "skdesc.structures._content_cy": (False, KERNELS),
    "skdesc.neighbors._pairs_cy": (True, KERNELS),
    "skdesc.density._expansion_cy": (True, EXPANSION),
    "skdesc.density._mixed_expansion_cy": (False, EXPANSION),
    "skdesc.invariants._invariant_cy": (False, INVARIANT),
    "skdesc.invariants._tensor_reduced_cy": (False, INVARIANT),
    "skdesc.invariants._packed_coefficients_cy": (True, INVARIANT),
    "skdesc.invariants._power_spectrum_cy": (False, INVARIANT),
    "skdesc.invariants._environments_cy": (True, INVARIANT),
    "skdesc.invariants._inner_cy": (False, INVARIANT),
    "skdesc.invariants._scatter_cy": (False, []),
}

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
OPENMP_PROGRAM = r"""
#include <omp.h>
int main(void) {
    int threads = 0;
    #pragma omp parallel num_threads(2) reduction(+:threads)
    threads += 1;
    return threads == 2 && omp_get_max_threads() > 0 ? 0 : 1;
}
"""


class BuildExt(build_ext):
    """Choose compiler flags once the compiler is known, and probe it for OpenMP."""

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        flags = ["/O2"] if msvc else ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
        if DEBUG and not msvc:
            flags = ["-O1", "-g", "-UNDEBUG"]
        flags += os.environ.get("SKDESC_EXTRA_CFLAGS", "").split()
        openmp = self.find_openmp(msvc)
        for extension in self.extensions:
            extension.extra_compile_args += flags
            if EXTENSIONS[extension.name][0]:
                extension.extra_compile_args += openmp
                extension.extra_link_args += openmp
        super().build_extensions()

    def find_openmp(self, msvc):
        """Flags with which a small OpenMP program compiles, links and runs; none: serial."""
        if os.environ.get("SKDESC_NO_OPENMP"):
            return []
        flags = ["/openmp"] if msvc else ["-fopenmp"]
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(OPENMP_PROGRAM, encoding="utf-8")
            program = str(Path(folder, "probe"))
            try:
                objects = self.compiler.compile([str(source)], folder, extra_postargs=flags)
                self.compiler.link_executable(objects, program, extra_postargs=flags)
                subprocess.run([program], check=True, timeout=30)
            except Exception as error:
                warnings.warn(
                    f"skdesc is built without OpenMP and will use one thread: the compiler could "
                    f"not build and run a test program with {flags} ({error}). Install OpenMP "
                    "(Debian: libgomp1, macOS: libomp) and build again.",
                    stacklevel=1,
                )
                return []
        return flags


def make_extensions():
    """Cythonize the table above."""
    macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    if COVERAGE:
        macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]
    extensions = [
        Extension(
            name,
            [name.replace(".", "/") + ".pyx"],
            include_dirs=["skdesc/utils"],
            define_macros=macros,
            depends=depends,
        )
        for name, (_, depends) in EXTENSIONS.items()
    ]
    # in parallel only where processes fork: elsewhere this file would be run again
    n_threads = os.cpu_count() if sys.platform == "linux" else 0
    return cythonize(extensions, compiler_directives=DIRECTIVES, nthreads=n_threads)


if __name__ == "__main__":
    setup(ext_modules=make_extensions(), cmdclass={"build_ext": BuildExt})
