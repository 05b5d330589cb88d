//! With feature `libtorch`: compiles what tch does not bind (`src/aten/aten.cpp`) against the libtorch that torch-sys found.

fn main() {
    #[cfg(feature = "libtorch")]
    libtorch::compile();
}

#[cfg(feature = "libtorch")]
mod libtorch {
    use std::env;
    use std::path::Path;

    pub(super) fn compile() {
        const SOURCE: &str = "src/aten/aten.cpp";
        println!("cargo::rerun-if-changed={SOURCE}");
        println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
        let lib = env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch lies");
        let root = Path::new(&lib)
            .parent()
            .expect("libtorch's `lib` is in a folder");
        let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .warnings(false)
            .include(root.join("include"))
            .define("_GLIBCXX_USE_CXX11_ABI", &*abi)
            .file(SOURCE)
            .compile("slm_aten");
    }
}
