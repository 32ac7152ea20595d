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
