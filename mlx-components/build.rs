//! Finds the components: a folder with a `component.json`, at the top or in a section.
//!
//! Writes two files. `settings.rs` makes a Rust type of each `config_schema`, a module a section; `embedded.rs` holds the texts of
//! the components for the feature `catalogue`.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const FILE: &str = "component.json";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    // It names every component, so that a new folder is seen.
    println!("cargo::rerun-if-changed=registry.json");

    let components = components(&root)?;
    fs::write(out.join("settings.rs"), settings(&root, &components)?)?;
    if env::var_os("CARGO_FEATURE_CATALOGUE").is_some() {
        fs::write(out.join("embedded.rs"), embedded(&root, &components)?)?;
    }
    Ok(())
}

/// The folders that have a component, relative to the crate and sorted.
fn components(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut found = Vec::new();
    for section in folders(root)? {
        let path = root.join(&section);
        let variants: Vec<String> =
            folders(&path)?.into_iter().filter(|variant| path.join(variant).join(FILE).is_file()).collect();
        let is_component = path.join(FILE).is_file();
        if is_component {
            found.push(section.clone());
        }
        found.extend(variants.iter().map(|variant| format!("{section}/{variant}")));
    }
    found.sort();
    for component in &found {
        // Not the folder: its samples are nothing to the crate. A new one is seen by the index.
        println!("cargo::rerun-if-changed={}", root.join(component).join(FILE).display());
    }
    Ok(found)
}

/// The names of the folders in a folder, links apart, sorted.
fn folders(path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("the name of {} is not Unicode", name.display()))?;
        if entry.file_type()?.is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The types of the settings: `data_sources::Snowflake`, and `services::ApiServing` for what is in no section.
fn settings(root: &Path, components: &[String]) -> Result<String, Box<dyn Error>> {
    let mut modules: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for component in components {
        // What the key holds is looked at by `component_config!`.
        if fs::read_to_string(root.join(component).join(FILE))?.contains("\"config_schema\"") {
            let section = component.split_once('/').map_or("services", |(section, _)| section);
            modules.entry(section.replace('-', "_")).or_default().push(component);
        }
    }
    let mut text = String::new();
    for (module, components) in modules {
        match module.as_str() {
            "services" => writeln!(text, "/// Settings of the components at the top of the catalogue.")?,
            _ => writeln!(text, "/// Settings of the components below `{}`.", module.replace('_', "-"))?,
        }
        writeln!(text, "pub mod {module} {{")?;
        for component in components {
            writeln!(text, "    mlx_core::component_config!({:?});", format!("{component}/{FILE}"))?;
        }
        writeln!(text, "}}")?;
    }
    Ok(text)
}

/// The texts of the components, those for the tests of their authors apart.
fn embedded(root: &Path, components: &[String]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("static COMPONENTS: &[Embedded] = &[\n");
    for component in components {
        let folder = root.join(component);
        writeln!(text, "    ({component:?}, &[")?;
        for path in files(&folder)? {
            let file = folder.join(&path);
            writeln!(text, "        ({path:?}, include_str!({:?})),", file.to_str().ok_or("a path is not Unicode")?)?;
        }
        writeln!(text, "    ]),")?;
    }
    text.push_str("];\n");
    Ok(text)
}

/// The files of a component, relative to its folder and sorted.
fn files(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut found: Vec<String> =
        [FILE, "README.md"].into_iter().filter(|file| folder.join(file).is_file()).map(str::to_owned).collect();
    let templates = folder.join("templates");
    if templates.is_dir() {
        walk(&templates, "templates", &mut found)?;
    }
    found.sort();
    // What is not there would be looked for again with each build.
    for file in &found {
        println!("cargo::rerun-if-changed={}", folder.join(file).display());
    }
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("the name of {} is not Unicode", name.display()))?;
        let path = format!("{prefix}/{name}");
        match entry.file_type()? {
            kind if kind.is_dir() => walk(&entry.path(), &path, found)?,
            kind if kind.is_file() => found.push(path),
            _ => return Err(format!("{} is neither a file nor a folder", entry.path().display()).into()),
        }
    }
    Ok(())
}
