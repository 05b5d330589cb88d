//! Lets the binary find the libtorch that it was linked with, so that nobody has to set `LD_LIBRARY_PATH` to run it.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // torch-sys tells this folder to the packages that depend on it directly: this one does, under feature `libtorch`.
    if let Ok(folder) = env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
