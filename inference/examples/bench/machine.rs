//! The machine: what it is, its streaming bandwidth, its peak of int8 operations, its room.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::Instant;

use serde_json::{Value, json};
use sworn_inference::backend::Threaded;

use super::Result;
use super::measure::{Cost, busy, median};

/// Bytes that are read to measure the bandwidth: as many as the largest shape's weights take, more than caches hold.
const STREAM_BYTES: usize = 1 << 30;

/// What the bench compares speeds with, by number of threads.
pub(crate) struct Machine {
    /// (threads, bytes a second).
    bandwidth: Vec<(usize, f64)>,
    /// (threads, int8 operations a second).
    peak: Vec<(usize, f64)>,
    /// How the peak was measured.
    kernel: String,
}

impl Machine {
    /// Measures for each of these numbers of threads.
    pub(crate) fn measure(folder: &Path, threads: &[usize]) -> Result<Machine> {
        let mut machine = Machine {
            bandwidth: Vec::new(),
            peak: Vec::new(),
            kernel: "not measured".to_owned(),
        };
        for threads in threads {
            machine.bandwidth.push((*threads, streaming(*threads)?));
            match int8_peak(folder, *threads) {
                Ok((kernel, peak)) => {
                    machine.kernel = kernel;
                    machine.peak.push((*threads, peak));
                }
                Err(error) => eprintln!("no int8 peak with {threads} threads: {error}"),
            }
        }
        Ok(machine)
    }

    /// Bytes a second.
    pub(crate) fn bandwidth(&self, threads: usize) -> Option<f64> {
        find(&self.bandwidth, threads)
    }

    /// Operations a second.
    pub(crate) fn peak(&self, threads: usize) -> Option<f64> {
        find(&self.peak, threads)
    }

    pub(crate) fn json(&self) -> Value {
        let map = |list: &[(usize, f64)]| -> Value {
            let entry = |(threads, rate): &(usize, f64)| (threads.to_string(), json!(rate / 1e9));
            Value::Object(list.iter().map(entry).collect())
        };
        json!({
            "cpu": cpu(),
            "cores": cores(),
            "features": features(),
            "instruction_sets": Threaded::instruction_sets(),
            "bandwidth_gb_s": map(&self.bandwidth),
            "bandwidth_how": format!("reads {} in order, once, in 1 or 4 streams a thread; the better median of 5", size(STREAM_BYTES as u64)),
            "int8_peak_gop_s": map(&self.peak),
            "int8_peak_how": format!("{}, registers only (inference/benches/int8_peak.c); a multiplication and an addition are two", self.kernel),
        })
    }
}

fn find(list: &[(usize, f64)], threads: usize) -> Option<f64> {
    list.iter()
        .find(|(number, _)| *number == threads)
        .map(|(_, rate)| *rate)
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let numbers = || {
        let [family, model, stepping] =
            ["cpu family", "model\t", "stepping"].map(|name| field(name).unwrap_or_default());
        format!("family {family}, model {model}, stepping {stepping}")
    };
    match field("model name") {
        Some(name) => format!("{name} ({})", numbers()),
        None => command("sysctl", &["-n", "machdep.cpu.brand_string"])
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
    }
}

/// What this processor has, of what matters here.
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! detect {
        ($macro:ident, $($name:tt),*) => { $(if std::arch::$macro!($name) { found.push($name); })* };
    }
    #[cfg(target_arch = "x86_64")]
    detect!(
        is_x86_feature_detected,
        "avx2",
        "f16c",
        "fma",
        "avxvnni",
        "avx512f",
        "avx512bw",
        "avx512dq",
        "avx512vl",
        "avx512vnni"
    );
    #[cfg(target_arch = "aarch64")]
    detect!(
        is_aarch64_feature_detected,
        "neon",
        "fp16",
        "dotprod",
        "i8mm"
    );
    found
}

/// Exclusive or of all bytes, read in `N` streams.
fn read<const N: usize>(bytes: &[u8]) -> u8 {
    let mut sums = [[0u8; 64]; N];
    let part = bytes.len() / N;
    let streams: [&[[u8; 64]]; N] =
        std::array::from_fn(|i| bytes[i * part..][..part].as_chunks::<64>().0);
    for i in 0..part / 64 {
        for (sums, stream) in sums.iter_mut().zip(streams) {
            for (sum, byte) in sums.iter_mut().zip(&stream[i]) {
                *sum ^= byte;
            }
        }
    }
    sums.as_flattened().iter().fold(0, |all, sum| all ^ sum)
}

/// Bytes a second that so many threads together read in order.
fn streaming(threads: usize) -> Result<f64> {
    let mut map = memmap2::MmapMut::map_anon(STREAM_BYTES)?;
    // The kernel may refuse large pages; the rate is then that of small ones.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    map.fill(1);
    let rate = |read: fn(&[u8]) -> u8| -> f64 {
        if threads == 1 {
            let (start, start_busy) = (Instant::now(), busy());
            std::hint::black_box(read(&map));
            let cost = Cost {
                time: start.elapsed().as_secs_f64(),
                busy: busy() - start_busy,
            };
            return map.len() as f64 / cost.of(threads);
        }
        let ready = Barrier::new(threads + 1);
        let start = std::thread::scope(|scope| {
            for part in map.chunks(map.len().div_ceil(threads)) {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    std::hint::black_box(read(part));
                });
            }
            ready.wait();
            Instant::now()
        });
        map.len() as f64 / start.elapsed().as_secs_f64()
    };
    let rates = |read: fn(&[u8]) -> u8| median((0..5).map(|_| rate(read)).collect());
    Ok(rates(read::<1>).max(rates(read::<4>)))
}

/// Compiles a program of `benches/` and gives its path.
pub(crate) fn compile(folder: &Path, name: &str, flags: &str) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/{name}.c"));
    let program = folder.join(name);
    let done = Command::new("cc")
        .args(flags.split(' '))
        .arg(source)
        .arg("-o")
        .arg(&program)
        .args(["-lm", "-lpthread"])
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("cc: {error}"))?;
    if done.success() {
        Ok(program)
    } else {
        Err(format!("cc {flags} does not compile {name}.c").into())
    }
}

/// The instruction and the operations a second of `benches/int8_peak.c`, the best of three.
fn int8_peak(folder: &Path, threads: usize) -> Result<(String, f64)> {
    let program = compile(folder, "int8_peak", "-O3 -march=native")
        .or_else(|_| compile(folder, "int8_peak", "-O3"))?;
    let mut best = (String::new(), 0.0);
    for _ in 0..3 {
        let output = Command::new(&program).arg(threads.to_string()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        let name = lines.next().unwrap_or_default().to_owned();
        let rate: f64 = lines.next().unwrap_or_default().parse()?;
        if rate > best.1 {
            best = (name, rate);
        }
    }
    Ok(best)
}

fn command(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Bytes of memory that programs can have; nothing where the system does not tell.
pub(crate) fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Free bytes of the disk that a folder is on; nothing where `df` does not tell.
pub(crate) fn free_disk(folder: &Path) -> Option<u64> {
    let text = command("df", &["-Pk", folder.to_str()?])?;
    let kib: u64 = text
        .lines()
        .last()?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}
