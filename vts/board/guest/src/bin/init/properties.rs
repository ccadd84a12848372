// SPDX-License-Identifier: Apache-2.0
//! Android's properties, as far as programs for it look for them: which platform this is. They are
//! read from the same mapped files as on a device, where init writes them, too.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use board_channel::SDK;
use rsproperties::{PropertyConfig, PropertyInfoEntry, SystemProperties, build_trie};

const FOLDER: &str = "/dev/__properties__";
/// What the kernel's command line may say otherwise.
const NEWEST: &str = "36";
/// On a device they have labels of their own, by name; here one that everybody may read.
const LABEL: &str = "u:object_r:build_prop:s0";

/// Makes them, for the platform that the kernel's command line names.
pub fn make() -> io::Result<()> {
    let line = fs::read_to_string("/proc/cmdline")?;
    let sdk = line.split_whitespace().find_map(|word| word.strip_prefix(SDK)).unwrap_or(NEWEST);
    let properties = HashMap::from([("ro.build.version.sdk", sdk)]);
    write(FOLDER.as_ref(), &properties)
        .map_err(|why| io::Error::other(format!("making the properties: {why}")))
}

fn write(folder: &Path, properties: &HashMap<&str, &str>) -> rsproperties::Result<()> {
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
        write(&folder, &HashMap::from([("ro.build.version.sdk", "33")])).unwrap();
        assert_eq!(rsproperties::get_or("ro.build.version.sdk", 0), 33);
    }
}
