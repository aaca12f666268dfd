//! What the plugins of a plan need of the machine, and what it has.

use super::{Plan, Step};
use crate::{
    diagnostics::{Code, Diagnostic},
    plugin::Resources,
};
use std::{cmp::Reverse, path::Path};

/// What a machine has for the program. What is not known is compared with nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Processor cores.
    pub cpu_cores: Option<u64>,
    /// Graphics processors.
    pub gpus: Option<u64>,
}

impl Machine {
    /// What this program may use of the machine it runs on.
    ///
    /// - Cores: [`std::thread::available_parallelism`], which heeds affinity and control groups.
    /// - Memory, on Linux: `MemTotal` of `/proc/meminfo`, or the limit of a control group (version 2 or 1) below it.
    ///   Unknown elsewhere.
    /// - Graphics processors, on Linux: the devices `/dev/nvidia0`, `/dev/nvidia1`, and so on. Unknown elsewhere, and
    ///   where there is another sort of graphics device, which nothing tells the number of.
    pub fn current() -> Machine {
        let root = Path::new("/");
        let linux = cfg!(target_os = "linux");
        Machine {
            memory_mib: linux.then(|| memory(root)).flatten(),
            cpu_cores: std::thread::available_parallelism().ok().map(|cores| cores.get() as u64),
            gpus: linux.then(|| gpus(&root.join("dev"))).flatten(),
        }
    }
}

/// The memory in MiB below a file system's root.
fn memory(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        // `0::/a/b` in version 2; `4:memory:/a/b`, or with other names beside it, in version 1.
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        match controllers {
            "" => limit(&root.join("sys/fs/cgroup"), group, "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                limit(&root.join("sys/fs/cgroup/memory"), group, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    Some(limits.chain([total << 10]).min()? >> 20)
}

/// The least limit in bytes of a control group and those it is in. A program in a container sees its own group as
/// the root, whatever it is called outside.
fn limit(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let group = Path::new(group.trim_start_matches('/'));
    // No limit is `max` in version 2, and a number beyond any memory in version 1.
    let read = |group: &Path| std::fs::read_to_string(mount.join(group).join(file)).ok()?.trim().parse().ok();
    group.ancestors().filter_map(read).min()
}

/// The number of graphics processors among the devices, where it is known.
fn gpus(devices: &Path) -> Option<u64> {
    let mut found = 0;
    let mut others = false;
    for device in std::fs::read_dir(devices).ok()? {
        let name = device.ok()?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.strip_prefix("nvidia").is_some_and(|n| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit())) {
            found += 1;
        }
        others |= matches!(name, "kfd" | "dri" | "dxg");
    }
    (found > 0 || !others).then_some(found)
}

impl Plan {
    /// What the plugins say that they need of the machine, together. A sum that is too large is the largest number.
    pub fn resources(&self) -> Resources {
        self.steps.iter().map(|step| step.registration.metadata().resources).fold(Resources::default(), |sum, one| {
            Resources {
                memory_mib: sum.memory_mib.saturating_add(one.memory_mib),
                cpu_cores: sum.cpu_cores.saturating_add(one.cpu_cores),
                gpus: sum.gpus.saturating_add(one.gpus),
            }
        })
    }

    /// What a machine has too little of.
    pub(super) fn shortages(&self, machine: &Machine) -> Vec<Diagnostic> {
        type Of = fn(&Resources) -> u32;
        let resources: [(&str, Of, Option<u64>); 3] = [
            ("MiB of memory", |resources| resources.memory_mib, machine.memory_mib),
            ("processor cores", |resources| resources.cpu_cores, machine.cpu_cores),
            ("graphics processors", |resources| resources.gpus, machine.gpus),
        ];
        let mut found = Vec::new();
        for (what, of, there) in resources {
            let needed = of(&self.resources());
            let Some(there) = there.filter(|there| *there < u64::from(needed)) else { continue };
            let share = |step: &Step| of(&step.registration.metadata().resources);
            let mut steps: Vec<&Step> = self.steps.iter().filter(|step| share(step) > 0).collect();
            steps.sort_by_key(|step| Reverse(share(step)));
            let mut warning = Diagnostic::warning(
                Code::NotEnoughResources,
                format!("the plugins need {needed} {what} together, and there are {there}"),
            );
            // Those that need the most.
            for step in steps.iter().take(5) {
                warning = warning.related(format!("`{}` needs {}", step.id, share(step)), step.location.as_ref());
            }
            found.push(warning.help("remove a plugin, or run the program on a larger machine"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    /// A file system's root of its own, gone when it is dropped.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Root {
            let root = Root(std::env::temp_dir().join(format!("mlx-machine-{}-{name}", std::process::id())));
            for (path, text) in files {
                let path = root.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            root
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const MEMORY: (&str, &str) = ("proc/meminfo", "MemFree: 1 kB\nMemTotal:       16777216 kB\n");

    #[test]
    fn memory_is_the_least_of_what_is_there_and_what_may_be_used() {
        assert_eq!(memory(&Root::new("none", &[("proc/self/cgroup", "0::/")]).0), None);
        assert_eq!(memory(&Root::new("all", &[MEMORY]).0), Some(16_384));
        let group =
            |name, files: &[(&'static str, &'static str)]| memory(&Root::new(name, &[&[MEMORY], files].concat()).0);
        let two = ("proc/self/cgroup", "0::/a/b\n");
        assert_eq!(group("max", &[two, ("sys/fs/cgroup/a/b/memory.max", "max\n")]), Some(16_384));
        assert_eq!(
            group(
                "outer",
                &[
                    two,
                    ("sys/fs/cgroup/a/b/memory.max", "2147483648\n"),
                    ("sys/fs/cgroup/a/memory.max", "1073741824\n"),
                ]
            ),
            Some(1024)
        );
        assert_eq!(group("container", &[two, ("sys/fs/cgroup/memory.max", "536870912\n")]), Some(512));
        let one = ("proc/self/cgroup", "5:cpu,cpuacct:/c\n4:memory:/c\n");
        assert_eq!(group("one", &[one, ("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "268435456\n")]), Some(256));
        assert_eq!(
            group("unlimited", &[one, ("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9223372036854771712\n")]),
            Some(16_384)
        );
    }

    #[test]
    fn graphics_processors_are_counted_where_they_can_be() {
        let devices = |name, files: &[&'static str]| {
            let files: Vec<_> = files.iter().map(|file| (*file, "")).collect();
            gpus(&Root::new(name, &files).0)
        };
        assert_eq!(devices("two", &["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "dri"]), Some(2));
        assert_eq!(devices("other", &["dri", "null"]), None);
        assert_eq!(devices("no", &["null"]), Some(0));
        assert_eq!(gpus(Path::new("/nowhere/at/all")), None);
    }

    #[test]
    fn this_machine_has_a_processor() {
        assert!(Machine::current().cpu_cores.is_some_and(|cores| cores > 0));
    }
}
