//! Gives the shared library its name in the dynamic linker's eyes: programs bind to `libelementum_torrent.so.0`, the ABI's
//! version, not to the file they were linked with. It stays 0 until version 1.0.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("macos" | "ios") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libelementum_torrent.0.dylib");
        }
        Ok("windows") => {}
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libelementum_torrent.so.0"),
    }
}
