//! A platform that follows its file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use mlx_core::{
    contract,
    diagnostics::Code,
    platform::{Watch, Watcher},
    prelude::*,
    registry::{Registration, Registry},
};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::timeout;

/// Something with a size.
#[contract(name = "sized", cardinality = "many")]
#[async_trait]
pub trait Measured {
    /// The size.
    async fn size(&self) -> Result<u32>;
}

#[derive(PluginConfig)]
struct Settings {
    size: u32,
    /// Does not start.
    #[config(default = false)]
    fails: bool,
    /// Does worse.
    #[config(default = false)]
    panics: bool,
}

#[mlx_plugin(type = Measured)]
struct Thing(Settings);

#[async_trait]
impl Plugin for Thing {
    type Config = Settings;
    async fn initialize(config: Settings, _: &InitContext) -> Result<Self> {
        assert!(!config.panics, "on purpose");
        match config.fails {
            true => Err(Error::failed("on purpose")),
            false => Ok(Thing(config)),
        }
    }
}

#[async_trait]
impl Measured for Thing {
    async fn size(&self) -> Result<u32> {
        Ok(self.0.size)
    }
}

const INTERVAL: Duration = Duration::from_millis(10);

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mlx-watch-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("platform.yaml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    /// Saves in the way of editors: writes another file and renames it into place.
    fn rename(&self, text: &str) {
        let new = self.0.join("platform.yaml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn of(settings: &str) -> String {
    format!("plugins:\n  - type: sized\n    name: thing\n    config: {{{settings}}}\n")
}

async fn start(folder: &Folder) -> Platform {
    static PLUGINS: [Registration; 1] = [Registration::new::<Thing>()];
    folder.write(&of("size: 1"));
    let composition = Composition::from_path(folder.path()).unwrap();
    Registry::from_registrations(&PLUGINS).activate(composition).await.unwrap()
}

async fn next(watcher: &mut Watcher) -> Result<mlx_core::platform::Applied> {
    timeout(Duration::from_secs(30), watcher.next()).await.expect("nothing happened").expect("it ended")
}

async fn size(platform: &Platform) -> u32 {
    platform.get::<dyn Measured>("thing").unwrap().size().await.unwrap()
}

#[tokio::test]
async fn every_way_to_save_is_noticed_and_mistakes_change_nothing() {
    let folder = Folder::new("saves");
    let platform = start(&folder).await;
    let mut watcher = Watch::new(folder.path()).every(INTERVAL).start(&platform).unwrap();

    folder.rename(&of("size: 2"));
    assert_eq!(next(&mut watcher).await.unwrap().swapped, ["sized/thing"]);
    assert_eq!(size(&platform).await, 2);

    for (broken, code) in [
        ("plugins: [", Code::Syntax),
        (of("size: 3, sise: 3").as_str(), Code::UnknownField),
        (of("size: 3, fails: true").as_str(), Code::StartFailed),
        (of("size: 3, panics: true").as_str(), Code::Panicked),
    ] {
        folder.rename(broken);
        let error = next(&mut watcher).await.unwrap_err();
        assert_eq!(error.diagnostics()[0].code, code, "{error:?}");
        assert_eq!(size(&platform).await, 2);
    }
    folder.rename(&of("size: 3"));
    next(&mut watcher).await.unwrap();
    assert_eq!(size(&platform).await, 3);

    fs::remove_file(folder.path()).unwrap();
    assert_eq!(next(&mut watcher).await.unwrap_err().diagnostics()[0].code, Code::Unreadable);
    assert_eq!(size(&platform).await, 3);
    folder.rename(&of("size: 4"));
    next(&mut watcher).await.unwrap();
    assert_eq!(size(&platform).await, 4);

    #[cfg(unix)]
    {
        // In the way of a mounted configuration map: the link is switched.
        let target = folder.0.join("v2.yaml");
        fs::write(&target, of("size: 5")).unwrap();
        fs::remove_file(folder.path()).unwrap();
        std::os::unix::fs::symlink(&target, folder.path()).unwrap();
        let mut outcome = next(&mut watcher).await;
        if outcome.is_err() {
            // It was seen missing.
            outcome = next(&mut watcher).await;
        }
        outcome.unwrap();
        assert_eq!(size(&platform).await, 5);
    }
    platform.shutdown().await.unwrap();
    assert!(watcher.next().await.is_none());
}

#[tokio::test]
async fn what_is_half_written_is_not_taken_for_a_whole() {
    let folder = Folder::new("half");
    let platform = start(&folder).await;
    let mut watcher = Watch::new(folder.path()).every(Duration::from_millis(200)).start(&platform).unwrap();
    // Grows faster than it is looked at; each part would be a composition of its own.
    let mut text = of("size: 2");
    for line in 0..60 {
        text.push_str(&format!("# {line}\n"));
        folder.write(&text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    folder.write(&of("size: 3"));
    // On a busy machine two looks in a row may fall between two parts; then there are more changes, and this is the last.
    let mut changes = 0;
    while size(&platform).await != 3 {
        let _ = next(&mut watcher).await;
        changes += 1;
    }
    assert!(changes < 10, "{changes} parts were taken for a whole");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_file_rules_from_the_beginning_and_saving_the_same_is_no_news() {
    let folder = Folder::new("rules");
    let platform = start(&folder).await;
    folder.rename(&of("size: 7"));
    let mut watcher = Watch::new(folder.path()).every(INTERVAL).start(&platform).unwrap();
    next(&mut watcher).await.unwrap();
    assert_eq!(size(&platform).await, 7);
    folder.rename(&format!("# a comment\n{}", of("size: 7")));
    tokio::time::sleep(INTERVAL * 10).await;
    folder.rename(&of("size: 8"));
    assert_eq!(next(&mut watcher).await.unwrap().swapped, ["sized/thing"]);
    assert_eq!(size(&platform).await, 8);
    drop(watcher);
    folder.rename(&of("size: 9"));
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!(size(&platform).await, 8, "nobody watches");
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_loader_that_panics_does_not_end_it() {
    let folder = Folder::new("loader");
    let platform = start(&folder).await;
    let extra = folder.0.join("extra");
    fs::write(&extra, "").unwrap();
    let loads = Arc::new(AtomicUsize::new(0));
    let load = {
        let loads = loads.clone();
        move || match loads.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("on purpose"),
            n => Composition::from_yaml(&of(&format!("size: {}", n + 10))),
        }
    };
    let watch = Watch::new(folder.path()).also(&extra).every(INTERVAL).load(load);
    let mut watcher = watch.start(&platform).unwrap();
    assert_eq!(next(&mut watcher).await.unwrap_err().kind(), ErrorKind::Internal);
    fs::write(&extra, "changed").unwrap();
    next(&mut watcher).await.unwrap();
    assert!(size(&platform).await > 10);
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn included_files_are_watched_too_also_those_that_were_broken() {
    let folder = Folder::new("include");
    let platform = start(&folder).await;
    let mut watcher = Watch::new(folder.path()).every(INTERVAL).start(&platform).unwrap();
    let part = folder.0.join("part.yaml");
    let write = |text: &str| {
        let new = folder.0.join("part.yaml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &part).unwrap();
    };
    folder.rename("include: [part.yaml]");
    assert_eq!(next(&mut watcher).await.unwrap_err().diagnostics()[0].code, Code::Unreadable);
    write("plugins: [");
    assert_eq!(next(&mut watcher).await.unwrap_err().diagnostics()[0].code, Code::Syntax);
    assert_eq!(size(&platform).await, 1);
    for new in 2..4 {
        write(&of(&format!("size: {new}")));
        assert_eq!(next(&mut watcher).await.unwrap().swapped, ["sized/thing"]);
        assert_eq!(size(&platform).await, new);
    }
    platform.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_profile_that_the_platform_runs_with_is_kept() {
    static PLUGINS: [Registration; 1] = [Registration::new::<Thing>()];
    let folder = Folder::new("kept-profile");
    let with = |size: u32| {
        let profile = "profiles: {prod: {plugins: [{name: thing, config: {size: 7}}]}}";
        format!("{}{profile}\n# {size}\n", of(&format!("size: {size}")))
    };
    folder.write(&with(1));
    let composition = Composition::from_path(folder.path()).unwrap().with_profile("prod").unwrap();
    let platform = Registry::from_registrations(&PLUGINS).activate(composition).await.unwrap();
    let thing = platform.get::<dyn Measured>("thing").unwrap();
    let mut watcher = Watch::new(folder.path()).every(INTERVAL).start(&platform).unwrap();
    // Nothing that matters has changed, neither now nor with this.
    folder.write(&with(2));
    assert!(timeout(Duration::from_millis(500), watcher.next()).await.is_err());
    folder.write(&with(3).replace("size: 7", "size: 8"));
    assert!(next(&mut watcher).await.is_ok());
    assert_eq!(thing.size().await.unwrap(), 8);
    platform.shutdown().await.unwrap();
}
