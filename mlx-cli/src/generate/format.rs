//! One call of rustfmt for everything that was rendered.

use super::render::RenderedFile;
use mlx_core::{Context, Result};
use std::{
    fs, io,
    process::{Command, Stdio},
};

/// Formats the Rust files in place. Where there is no rustfmt they stay as they are, and where it fails, what it says is given
/// back. `config` is the project's own `rustfmt.toml`.
pub(super) fn format<'r>(
    files: impl Iterator<Item = &'r mut RenderedFile>,
    config: Option<&[u8]>,
) -> Result<Option<String>> {
    let mut files: Vec<&mut RenderedFile> = files.filter(|file| file.path.as_str().ends_with(".rs")).collect();
    if files.is_empty() {
        return Ok(None);
    }
    let folder = tempfile::tempdir().context("making a folder for rustfmt")?;
    // Nothing above the folder is taken for a configuration.
    fs::write(folder.path().join("rustfmt.toml"), config.unwrap_or_default()).context("preparing rustfmt")?;
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024", "--quiet"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut staged = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let alone = folder.path().join(index.to_string());
        fs::create_dir(&alone).context("preparing rustfmt")?;
        // rustfmt follows `mod x;`, and stops where it finds none.
        for module in modules(&file.content) {
            fs::write(alone.join(format!("{module}.rs")), "").context("preparing rustfmt")?;
        }
        let path = alone.join("file_to_format.rs");
        fs::write(&path, &file.content).context("preparing rustfmt")?;
        command.arg(&path);
        staged.push(path);
    }
    let output = match command.output() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output.context("running rustfmt")?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed").to_owned();
        return Ok(Some(first));
    }
    for (file, path) in files.iter_mut().zip(staged) {
        file.content = fs::read_to_string(path).context("reading what rustfmt made")?;
    }
    Ok(None)
}

/// The modules that a file declares and does not contain.
fn modules(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
        let name = line.strip_prefix("mod ")?.strip_suffix(';')?;
        mlx_components::catalogue::case::is_rust_identifier(name).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{ProjectPath, Sha256};

    fn file(path: &str, content: &str) -> RenderedFile {
        RenderedFile {
            path: ProjectPath::new(path).unwrap(),
            template: "t".to_owned(),
            rendered: Sha256::of(content),
            content: content.to_owned(),
        }
    }

    #[test]
    fn rust_is_formatted_and_nothing_else() {
        let mut files = [
            file("src/lib.rs", "pub mod  platform;\nfn   f( ){}\n"),
            file("src/platform/mod.rs", "pub mod api;\nfn g( ){}\n"),
            file("a.yaml", "a:   1\n"),
        ];
        if format(files.iter_mut(), None).unwrap().is_some() || files[0].content.contains("   f") {
            // There is no rustfmt here.
            return;
        }
        assert_eq!(files[0].content, "pub mod platform;\nfn f() {}\n");
        assert_eq!(files[1].content, "pub mod api;\nfn g() {}\n");
        assert_eq!(files[2].content, "a:   1\n");
        let mut wide = [file("x.rs", "fn f() {\n    g();\n}\n")];
        format(wide.iter_mut(), Some(b"hard_tabs = true\n")).unwrap();
        assert_eq!(wide[0].content, "fn f() {\n\tg();\n}\n");
    }

    #[test]
    fn what_is_no_rust_is_said_and_left() {
        let mut files = [file("x.rs", "fn (\n"), file("y.rs", "fn  f() {}\n")];
        if let Some(said) = format(files.iter_mut(), None).unwrap() {
            assert!(said.contains("error"), "{said}");
        }
        assert_eq!(files[0].content, "fn (\n");
    }
}
