// SPDX-License-Identifier: Apache-2.0
//! A Cargo workspace in place of Soong: a package for each module of `Android.bp`, with the crates of
//! Android's tree in their versions there, AOSP's own `binder` crate, and the interfaces as AOSP's own
//! compiler makes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;

use board::{repository, require_target};
use dmaheap_aidl::allocator::HASH;
use serde::Deserialize;

use crate::bp::{self, Module};

/// The package that Android's libbinder_rs is in Rust's registry. Cargo builds no more of it than an
/// app may have; all of it is there.
const PUBLISHED: &str = "android-binder = { version = \"=0.2.2\", default-features = false }";

/// What is in Android's tree, and when that was seen.
#[derive(Deserialize)]
pub struct Tree {
    pub date: String,
    pub crates: BTreeMap<String, Crate>,
}

#[derive(Deserialize)]
pub struct Crate {
    pub package: String,
    pub version: String,
    #[serde(default)]
    pub features: Vec<String>,
    pub checked: Option<String>,
    #[serde(default)]
    pub suite: Vec<String>,
    pub why: Option<String>,
}

impl Tree {
    pub fn read() -> Tree {
        let path = repository().join("vts/board/android/crates.toml");
        basic_toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }
}

/// The interfaces' own modules, by the AIDL package that each is of.
pub const INTERFACES: [&str; 3] = [
    "android.hardware.common-V2-rust",
    "android.hardware.graphics.allocator-V3-rust",
    "android.hardware.graphics.common-V7-rust",
];

/// Rust's name of what Android's devices run.
const TARGET: &str = "aarch64-linux-android";

pub struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    /// Makes it below `target/`, where what was built stays; `change` may change what the facade says.
    pub fn new(name: &str, change: impl Fn(String) -> String) -> Workspace {
        // Two tests at once would have rustup fetch the same file.
        static TARGET_IS_THERE: Once = Once::new();
        TARGET_IS_THERE.call_once(|| require_target(TARGET).unwrap());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("android").join(name);
        let _ = fs::remove_dir_all(&folder);
        let workspace = Workspace { folder };
        let modules: Vec<Module> = bp::modules().into_iter().filter(Module::is_rust).collect();
        workspace.facade(&change);
        workspace.interfaces();
        let tree = Tree::read();
        for module in &modules {
            workspace.package(module, &modules, &tree);
        }
        workspace.binder();
        workspace.write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"sys\", \"binder\", \"interfaces\", \"modules/*\"]\n",
        );
        workspace
    }

    /// AOSP's sources of `binder`, over what its calls to C are declared as here.
    fn binder(&self) {
        self.write("published/src/lib.rs", "");
        let head =
            "[package]\nname = \"published\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n";
        self.write("published/Cargo.toml", &format!("{head}{PUBLISHED}\n"));
        let mut metadata = Command::new(env!("CARGO"));
        metadata.current_dir(self.folder.join("published"));
        let known = metadata.args(["metadata", "--format-version=1"]).output().unwrap();
        assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stderr));
        let known: serde_json::Value = serde_json::from_slice(&known.stdout).unwrap();
        let packages = known["packages"].as_array().unwrap();
        let binder = packages.iter().find(|one| one["name"] == "android-binder").unwrap();
        let manifest = Path::new(binder["manifest_path"].as_str().unwrap());
        let source = manifest.with_file_name("src/lib.rs");
        self.write(
            "binder/Cargo.toml",
            &format!(
                "[package]\nname = \"binder\"\nedition = \"2021\"\n[lib]\npath = {source:?}\n\
                 [features]\ndefault = [\"std\", \"kernel_ipc\"]\nstd = []\nkernel_ipc = []\n\
                 android_ndk_compat_symbols = []\n[dependencies]\n\
                 binder_ndk_sys = {{ path = \"../sys\" }}\ndowncast-rs = \"2\"\nlibc = {{ version = \"0.2\", features = [\"extra_traits\"] }}\nlog = \"0.4\"\n\
                 static_assertions = \"1\"\nzerocopy = {{ version = \"0.8.25\", features = [\"alloc\"] }}\n"
            ),
        );
        let sys = repository().join("vts/board/android/binder_ndk_sys.rs");
        self.write(
            "sys/Cargo.toml",
            &format!(
                "[package]\nname = \"binder_ndk_sys\"\nedition = \"2024\"\n[lib]\npath = {sys:?}\n\
                 [dependencies]\nlibc = \"0.2\"\n"
            ),
        );
    }

    /// Type-checks these modules with these words for `cfg`.
    pub fn check(&self, modules: &[&str], cfgs: &[&str]) -> Output {
        let flags: Vec<String> = cfgs.iter().map(|cfg| format!("--cfg={cfg}")).collect();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(&self.folder)
            // It reads the toolchain from where it is asked, which is below this repository.
            .args(["check", "--quiet", "--target", TARGET])
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("android/target"))
            .env("RUSTFLAGS", flags.join(" ") + " --cap-lints=allow");
        for module in modules {
            cargo.args(["-p", &package_name(module)]);
        }
        cargo.output().unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A copy of the facade's sources, which a test may break.
    fn facade(&self, change: &impl Fn(String) -> String) {
        for name in ["soong.rs", "binder_ndk.rs"] {
            let text = fs::read_to_string(repository().join("aidl/src").join(name)).unwrap();
            self.write(&format!("facade/{name}"), &change(text));
        }
    }

    fn package(&self, module: &Module, modules: &[Module], tree: &Tree) {
        let name = package_name(module.name());
        let mut source = repository().join(module.one("srcs"));
        if source.starts_with(repository().join("aidl/src")) {
            source = self.folder.join("facade").join(source.file_name().unwrap());
        }
        let target = match module.kind.as_str() {
            "rust_binary" | "rust_test" => format!("[[bin]]\nname = {name:?}\npath = {source:?}\n"),
            _ => format!("[lib]\nname = {:?}\npath = {source:?}\n", module.crate_name()),
        };
        let libraries = module.all("rustlibs").iter();
        let is_suite = module.one("srcs").starts_with("vts/");
        let dependencies: String =
            libraries.map(|library| dependency(library, modules, tree, is_suite) + "\n").collect();
        let cfgs: String = module
            .all("cfgs")
            .iter()
            .map(|cfg| format!("println!(\"cargo:rustc-cfg={cfg}\");"))
            .collect();
        let folder = format!("modules/{name}");
        self.write(&format!("{folder}/build.rs"), &format!("fn main() {{ {cfgs} }}\n"));
        let edition = module.one("edition");
        self.write(
            &format!("{folder}/Cargo.toml"),
            &format!(
                "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = {edition:?}\n{target}[dependencies]\n{dependencies}"
            ),
        );
    }

    /// One crate of all interfaces, and one by the name of each of Soong's.
    fn interfaces(&self) {
        let aidl = repository().join("aidl");
        let out = self.folder.join("aidl");
        fs::create_dir_all(&out).unwrap();
        let mut sources = Vec::new();
        files_below(&aidl.join("android"), &mut sources);
        sources.sort();
        let mut modules = Node::default();
        let mut mangled = String::new();
        for source in &sources {
            let mut compiler = board::debian::aidl().unwrap();
            compiler.args(["--lang=rust", "--structured", "--stability=vintf"]);
            let has = |part: &str| source.components().any(|c| c.as_os_str() == part);
            if has("allocator") {
                compiler.args(["--version=3", &format!("--hash={HASH}")]);
            }
            compiler.arg("-I").arg(&aidl).arg("-o").arg(&out).arg(source);
            let done = compiler.output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let path = source.strip_prefix(&aidl).unwrap().with_extension("rs");
            let names: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
            modules.add(&names, &out.join(&path));
            let module = path.with_extension("").to_str().unwrap().replace('/', "::");
            mangled.push_str(&format!("pub use crate::aidl::{module}::mangled::*;\n"));
        }
        let text = format!(
            "extern crate alloc;\npub mod aidl {{\n{}}}\npub(crate) mod mangled {{\n{mangled}}}\n",
            modules.text()
        );
        self.write("interfaces/src/lib.rs", &text);
        self.write(
            "interfaces/Cargo.toml",
            "[package]\nname = \"interfaces\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                 [dependencies]\nbinder = { path = \"../binder\" }\nasync-trait = \"0.1\"\n\
                 zerocopy = { version = \"0.8.25\", features = [\"derive\"] }\n",
        );
        for interface in INTERFACES {
            let name = package_name(interface);
            self.write(&format!("modules/{name}/src/lib.rs"), "pub use interfaces::aidl;\n");
            let library = crate_of(interface);
            self.write(
                &format!("modules/{name}/Cargo.toml"),
                &format!(
                    "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                     [lib]\nname = {library:?}\n[dependencies]\ninterfaces = {{ path = \"../../interfaces\" }}\n"
                ),
            );
        }
    }
}

/// A line of a package's dependencies.
fn dependency(library: &str, modules: &[Module], tree: &Tree, is_suite: bool) -> String {
    if library == "libbinder_rs" {
        return "binder = { path = \"../../binder\" }".to_owned();
    }
    if let Some(Crate { package, version, features, checked, suite, .. }) = tree.crates.get(library)
    {
        let more = if is_suite { suite.as_slice() } else { &[] };
        let features = [features, more].concat();
        let version = checked.clone().unwrap_or(format!("={version}"));
        let default = package != "android_logger";
        return format!(
            "{package} = {{ version = {version:?}, features = {features:?}, default-features = {default} }}"
        );
    }
    let own = modules.iter().find(|module| module.name() == library).map(Module::crate_name);
    let name = own.unwrap_or_else(|| crate_of(library));
    let package = package_name(library);
    format!("{name} = {{ package = {package:?}, path = \"../{package}\" }}")
}

/// The crate of an interface's module.
fn crate_of(interface: &str) -> String {
    interface.split("-V").next().unwrap_or(interface).replace('.', "_")
}

fn package_name(module: &str) -> String {
    module.replace('.', "_")
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

/// Modules within modules.
#[derive(Default)]
struct Node {
    below: BTreeMap<String, Node>,
    file: Option<PathBuf>,
}

impl Node {
    fn add(&mut self, names: &[&str], file: &Path) {
        match names {
            [] => self.file = Some(file.to_owned()),
            [name, rest @ ..] => {
                let name = name.trim_end_matches(".rs").to_owned();
                self.below.entry(name).or_default().add(rest, file);
            }
        }
    }

    fn text(&self) -> String {
        let modules = self.below.iter().map(|(name, node)| match &node.file {
            Some(file) => format!("#[path = {file:?}]\npub mod {name};\n"),
            None => format!("pub mod {name} {{\n{}}}\n", node.text()),
        });
        modules.collect()
    }
}
