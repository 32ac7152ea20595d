//! llama.cpp in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{Cost, Result, Test};

pub(crate) struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(python: &Path) -> Result<Peer> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench/peer.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no output")?);
        Ok(Peer {
            process,
            input,
            output,
        })
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        writeln!(self.input, "{request}")?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            return Err("the peer ended".into());
        }
        Ok(answer.trim().to_owned())
    }

    /// Loads a model; gives what the library was compiled with.
    pub(crate) fn open(&mut self, file: &Path) -> Result<String> {
        self.ask(&format!("open {}", file.display()))
    }

    pub(crate) fn run(&mut self, test: Test, threads: usize) -> Result<Cost> {
        let answer = self.ask(&match test {
            Test::Decode(count) | Test::Batch(_, count) => format!("decode {count} {threads}"),
            Test::Prefill(count) => format!("prefill {count} {threads}"),
        })?;
        let (time, busy) = answer.split_once(' ').ok_or("no two numbers")?;
        Ok(Cost {
            time: time.parse()?,
            busy: busy.parse()?,
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It would end by itself at the end of its input; whether it is still there does not matter.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
