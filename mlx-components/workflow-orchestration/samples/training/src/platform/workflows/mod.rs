//! The pipelines of a folder, one YAML, TOML or JSON file each, called like the pipeline.

use mlx_core::{
    diagnostics::{listing, nearest},
    prelude::*,
};
use std::{collections::BTreeMap, path::Path};

/// The pipeline of a name.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) with the names that there are;
/// [`Invalid`](ErrorKind::Invalid) with everything that is wrong with its file.
pub fn load(folder: &Path, name: &str) -> Result<Pipeline> {
    let files = files(folder)?;
    match files.get(name) {
        Some(path) => Pipeline::from_path(path),
        None => {
            let known = || files.keys().map(String::as_str);
            let hint = nearest(name, known())
                .map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            Err(Error::not_found(format!(
                "there is no pipeline `{name}` in {}{hint}; there are {}",
                folder.display(),
                listing(known())
            )))
        }
    }
}

/// The names of all pipelines, sorted.
///
/// # Errors
/// What the operating system reports of the folder.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    Ok(files(folder)?.into_keys().collect())
}

fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let doing = || format!("looking for pipelines in {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(doing)? {
        let path = entry.with_context(doing)?.path();
        let format = path.extension().and_then(|extension| extension.to_str());
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .map(str::to_owned);
        if let (Some("yaml" | "yml" | "toml" | "json"), Some(name)) = (format, name)
            && let Some(other) = files.insert(name, path)
        {
            let other = other.display();
            return Err(Error::invalid(format!("two files are called like {other}")));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    // cargo runs tests in the project's folder.
    const FOLDER: &str = "pipelines";

    #[test]
    fn every_pipeline_of_the_project_can_be_read() -> Result<()> {
        let names = names(FOLDER.as_ref())?;
        assert!(names.contains(&"check".to_owned()), "{names:?}");
        for name in names {
            assert_eq!(load(FOLDER.as_ref(), &name)?.name(), name);
        }
        Ok(())
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let error = load(FOLDER.as_ref(), "chek").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().contains("did you mean `check`"),
            "{error}"
        );
        assert!(load(FOLDER.as_ref(), "../check").is_err());
    }
}
