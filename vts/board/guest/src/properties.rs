// SPDX-License-Identifier: Apache-2.0
//! Android's properties, as far as programs for it look for them: which platform this is. They are
//! read from the same mapped files as on a device.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rsproperties::{PropertyConfig, PropertyInfoEntry, SystemProperties, build_trie};

/// Where programs look.
pub const FOLDER: &str = "/dev/__properties__";
/// The property that has the platform's SDK level.
pub const SDK: &str = "ro.build.version.sdk";

/// On a device they have labels of their own, by name; here one that everybody may read.
const LABEL: &str = "u:object_r:build_prop:s0";

/// Makes a folder of properties, one in the life of a process.
///
/// # Errors
/// If it cannot be written, or is the second.
pub fn write(folder: &Path, properties: &HashMap<&str, &str>) -> rsproperties::Result<()> {
    fs::create_dir(folder)?;
    let names: Vec<PropertyInfoEntry> = Vec::new();
    fs::write(folder.join("property_info"), build_trie(&names, LABEL, "string")?)?;
    // The library knows one folder for a process.
    rsproperties::try_init(PropertyConfig::with_properties_dir(folder))?;
    let mut area = SystemProperties::new_area(folder)?;
    for (name, value) in properties {
        area.add(name, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_found_where_programs_look_for_it() {
        let here = tempfile::tempdir().unwrap();
        let folder = here.path().join("properties");
        write(&folder, &HashMap::from([(SDK, "33")])).unwrap();
        assert_eq!(rsproperties::get_or(SDK, 0), 33);
    }
}
