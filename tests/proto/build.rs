//! Makes clients of the `.proto` files, in Rust alone: no protoc has to be installed.

use std::error::Error;

const FILES: [&str; 2] = ["inference.proto", "prediction.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    tonic_prost_build::configure().build_server(false).compile_fds(descriptors)?;
    Ok(())
}
