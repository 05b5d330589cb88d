//! With feature `libtorch`: compiles the shim over c10d (`src/c10d/c10d.cpp`) against the libtorch that torch-sys found.

fn main() {
    #[cfg(feature = "libtorch")]
    libtorch::compile();
}

#[cfg(feature = "libtorch")]
mod libtorch {
    use std::env;
    use std::path::Path;

    const FOLDER: &str = "src/c10d";

    pub(super) fn compile() {
        println!("cargo::rerun-if-changed={FOLDER}");
        println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
        let lib = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch lies");
        let include = Path::new(&lib)
            .parent()
            .expect("libtorch's `lib` is in a folder")
            .join("include");
        let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .warnings(false)
            .include(include.join("torch/csrc/api/include"))
            .include(include)
            // Behind libtorch's, so that Gloo's own headers are taken where they are.
            .include(FOLDER)
            .define("_GLIBCXX_USE_CXX11_ABI", &*abi)
            .define("USE_C10D_GLOO", None)
            .file(format!("{FOLDER}/c10d.cpp"))
            .compile("slm_c10d");
    }
}
