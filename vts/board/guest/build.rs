// SPDX-License-Identifier: Apache-2.0
//! Generates the service managers' interfaces, by the numbering that each has.

fn main() -> Result<(), rsbinder_aidl::AidlError> {
    for numbering in ["android13", "android15", "android16"] {
        let folder = format!("aidl/{numbering}");
        rsbinder_aidl::Builder::new()
            .source(format!("{folder}/android/os/IServiceManager.aidl"))
            .include_dir(&folder)
            .output(format!("{numbering}.rs"))
            .generate()?;
    }
    Ok(())
}
