//! Black-box tests of the binary: what is typed, and what comes back on stdout, stderr and as exit code.
