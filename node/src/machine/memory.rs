//! Whether models fit into the memory that there is, before they are opened for good.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sworn_inference::engine::{Footprint, Sequences};

use super::MachineError;

/// How much memory models may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryLimit {
    /// What the machine has to spare.
    #[default]
    Auto,
    /// So many bytes.
    Bytes(u64),
    /// Nobody looks.
    Any,
}

impl MemoryLimit {
    /// What a good text of one is.
    pub const EXPECTED: &'static str = "`auto` (what the machine has to spare), `any` (no check), or a size such as 6GiB or 512MiB";
}

impl FromStr for MemoryLimit {
    type Err = ();

    fn from_str(text: &str) -> Result<MemoryLimit, ()> {
        match text {
            "auto" => return Ok(MemoryLimit::Auto),
            "any" => return Ok(MemoryLimit::Any),
            _ => {}
        }
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match &text[digits.len()..] {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(()),
        };
        let number: u64 = digits.parse().map_err(|_| ())?;
        number.checked_mul(unit).map(MemoryLimit::Bytes).ok_or(())
    }
}

/// Bytes for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1 << 30 => write!(f, "{:.1} GiB", n as f64 / f64::from(1 << 30)),
            n if n >= 1 << 20 => write!(f, "{:.1} MiB", n as f64 / f64::from(1 << 20)),
            n => write!(f, "{:.1} KiB", n as f64 / 1024.0),
        }
    }
}

/// Memory that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    /// Bytes.
    pub bytes: u64,
    /// What says so.
    pub source: &'static str,
}

/// What models need to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What is computed with, for messages.
    pub name: String,
    /// The model's.
    pub footprint: Footprint,
    /// Sequences that must have room.
    pub sequences: Sequences,
}

impl MemoryLimit {
    /// What there is, with the system's files under `root`; none when nobody looks or nothing says it.
    pub fn available(self, root: &Path) -> Option<Available> {
        match self {
            MemoryLimit::Any => None,
            MemoryLimit::Bytes(bytes) => Some(Available {
                bytes,
                source: "the limit that was set",
            }),
            MemoryLimit::Auto => {
                let machine = meminfo(root).map(|bytes| Available {
                    bytes,
                    source: "free on this machine",
                });
                let group = control_group(root).map(|bytes| Available {
                    bytes,
                    source: "left in this control group",
                });
                machine.into_iter().chain(group).min_by_key(|a| a.bytes)
            }
        }
    }

    /// Bytes that are left when these needs are met; none when nobody looks.
    ///
    /// # Errors
    /// [`MachineError::Memory`] with what each takes; `remedy` says what the user can change.
    pub fn check(self, needs: &[Need], remedy: &'static str) -> Result<Option<u64>, MachineError> {
        let Some(available) = self.available(Path::new("/")) else {
            return Ok(None);
        };
        let totals = needs.iter().map(|n| n.footprint.total(n.sequences));
        let needed = totals.fold(0, u64::saturating_add);
        match available.bytes.checked_sub(needed) {
            Some(left) => Ok(Some(left)),
            None => Err(MachineError::Memory {
                found: Bytes(available.bytes),
                source_of: available.source,
                needed: Bytes(needed),
                parts: { needs.iter() }
                    .map(described)
                    .collect::<Vec<_>>()
                    .join("; "),
                remedy,
            }),
        }
    }
}

fn described(need: &Need) -> String {
    let (f, s) = (&need.footprint, need.sequences);
    format!(
        "{}: weights {}, activations {}, caches {} for {} of up to {} tokens",
        need.name,
        Bytes(f.weights),
        Bytes(f.activations),
        Bytes(f.cache(s)),
        match s.count {
            1 => "one sequence".to_owned(),
            n => format!("{n} sequences"),
        },
        s.tokens.min(f.context)
    )
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number after a word at the beginning of a line.
fn field(text: &str, word: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut line = lines.find(|line| line.clone().next() == Some(word))?;
    line.nth(1)?.parse().ok()
}

fn meminfo(root: &Path) -> Option<u64> {
    let kib = field(&read(&root.join("proc/meminfo"))?, "MemAvailable:")?;
    kib.checked_mul(1024)
}

/// What the tightest of the process's control groups leaves. Files that the kernel can drop do not count as used.
fn control_group(root: &Path) -> Option<u64> {
    let groups = read(&root.join("proc/self/cgroup"))?;
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (mount, limit, usage, files) = match controllers {
            "" => (
                "sys/fs/cgroup",
                "memory.max",
                "memory.current",
                ["inactive_file", "active_file"],
            ),
            _ if controllers.split(',').any(|c| c == "memory") => (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                ["total_inactive_file", "total_active_file"],
            ),
            _ => continue,
        };
        // A limit of any group above holds as well.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let folder = root.join(mount).join(group);
            let number = |name: &str| read(&folder.join(name))?.trim().parse::<u64>().ok();
            let (Some(limit), Some(usage)) = (number(limit), number(usage)) else {
                continue;
            };
            let stat = read(&folder.join("memory.stat")).unwrap_or_default();
            let files: u64 = files.iter().filter_map(|name| field(&stat, name)).sum();
            let left = limit.saturating_sub(usage.saturating_sub(files));
            least = Some(least.map_or(left, |least: u64| least.min(left)));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)]) -> Option<(u64, &'static str)> {
        let root = root(files);
        let found = MemoryLimit::Auto.available(root.path());
        found.map(|available| (available.bytes, available.source))
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:    4096 kB\n",
    );

    #[test]
    fn the_tightest_limit_counts() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[MEMINFO]), Some((4 << 20, "free on this machine")));
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let unlimited = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(
            found(&[MEMINFO, group, unlimited]),
            Some((4 << 20, "free on this machine"))
        );
        // The group above has a limit: 3,000,000, of which 2,500,000 are used, 500,000 of them by files.
        let above = [
            ("sys/fs/cgroup/a/memory.max", "3000000\n"),
            ("sys/fs/cgroup/a/memory.current", "2500000\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 2000000\ninactive_file 400000\nactive_file 100000\n",
            ),
        ];
        let all = [&[MEMINFO, group, unlimited][..], &above].concat();
        assert_eq!(found(&all), Some((1_000_000, "left in this control group")));
        let old = [
            MEMINFO,
            ("proc/self/cgroup", "3:cpu,memory:/\n2:pids:/x\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "700\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "900\n"),
        ];
        assert_eq!(found(&old), Some((0, "left in this control group")));
    }

    #[test]
    fn limits_are_written_as_sizes() {
        for (text, limit) in [
            ("auto", MemoryLimit::Auto),
            ("any", MemoryLimit::Any),
            ("12345", MemoryLimit::Bytes(12_345)),
            ("6GiB", MemoryLimit::Bytes(6 << 30)),
            ("512MiB", MemoryLimit::Bytes(512 << 20)),
        ] {
            assert_eq!(text.parse(), Ok(limit));
        }
        for bad in ["", "GiB", "6GB", "-1", "1.5GiB", "99999999999GiB", "é"] {
            assert_eq!(bad.parse::<MemoryLimit>(), Err(()), "{bad}");
        }
        assert_eq!(Bytes(1536 << 20).to_string(), "1.5 GiB");
        assert_eq!(Bytes(10 << 20).to_string(), "10.0 MiB");
        assert_eq!(Bytes(2048).to_string(), "2.0 KiB");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_parts() {
        let need = Need {
            name: "large".into(),
            footprint: Footprint {
                weights: 8 << 30,
                activations: 64 << 20,
                page: 1 << 20,
                context: 2048,
            },
            sequences: Sequences {
                count: 16,
                tokens: 4096,
            },
        };
        let total = (8 << 30) + (64 << 20) + 16 * 32 * (1 << 20);
        let check = |limit: MemoryLimit| limit.check(std::slice::from_ref(&need), "use less");
        assert_eq!(check(MemoryLimit::Bytes(total)).unwrap(), Some(0));
        assert_eq!(check(MemoryLimit::Bytes(total + 5)).unwrap(), Some(5));
        assert_eq!(check(MemoryLimit::Any).unwrap(), None);
        let message = check(MemoryLimit::Bytes(4 << 30)).unwrap_err().to_string();
        assert_eq!(
            message,
            "memory: found 4.0 GiB (the limit that was set), needed 8.6 GiB (large: weights 8.0 GiB, activations 64.0 MiB, caches 512.0 MiB \
             for 16 sequences of up to 2048 tokens); use less"
        );
    }
}
