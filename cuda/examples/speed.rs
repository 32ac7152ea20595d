//! How fast a GPU runs a model of a shape with random weights, beside the speed at which it copies its memory, once its bits equal the processor's.
//!
//! `cargo run --release -p sworn-cuda --example speed -- [shape=8B|1.1B] [format=q8_0|q4_0] [folder=FOLDER]`
//! The 8B shape takes 20 GB of memory and disk while its file is made; the folder keeps what was imported.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sworn_cuda::{Gpu, Loaded, Speed, prove};
use sworn_inference::engine::{Accelerator, CHUNK_ROWS, Engine, EngineOptions, Row, Sampling};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Steps of a measurement, and steps before it in which launches are recorded.
const STEPS: u32 = 128;
const WARM: u32 = 8;

fn config(shape: &str) -> Result<LlamaConfig> {
    match shape {
        "1.1B" | "8B" => testing::shape_config(shape, 4096),
        _ => None,
    }
    .ok_or_else(|| format!("no shape {shape}: there are 1.1B and 8B").into())
}

fn model(shape: &str, format: WeightFormat, folder: &Path) -> Result<Model> {
    let packed = folder.join(format!("cuda-{shape}-{format:?}"));
    if packed.exists() {
        return Ok(Model::open(&packed)?);
    }
    std::fs::create_dir_all(folder)?;
    let file = folder.join(format!("cuda-{shape}-{format:?}.gguf"));
    std::fs::write(&file, testing::gguf(&config(shape)?, format, 1).to_bytes())?;
    let source = ModelSource::open(&file, None)?;
    let model = Model::import(&source, &packed, &mut |_, _| {})?;
    std::fs::remove_file(&file)?;
    Ok(model)
}

/// Decode of so many sequences at a time. `read` are the bytes of weights that a step reads, `speed` those of copies in a second.
fn decode(loaded: &Loaded, sequences: usize, read: usize, speed: f64) -> Result<()> {
    let mut runner = loaded.runner()?;
    let mut rows = Vec::new();
    for token in 0..sequences as u32 {
        let sequence = runner.start();
        rows.push(Row { sequence, token });
    }
    let wanted: Vec<usize> = (0..sequences).collect();
    let mut start = Instant::now();
    for step in 0..STEPS + WARM {
        if step == WARM {
            start = Instant::now();
        }
        runner.run(&rows, &wanted)?;
        for (i, row) in rows.iter_mut().enumerate() {
            row.token = runner.select(i, &Sampling::GREEDY, &mut || 0)?;
        }
    }
    let steps = f64::from(STEPS) / start.elapsed().as_secs_f64();
    println!(
        "decode   {sequences} at a time: {:.1} tokens/s, weights at {:.0} GB/s, {:.0} % of copies",
        steps * sequences as f64,
        steps * read as f64 / 1e9,
        steps * read as f64 / speed * 100.0
    );
    Ok(())
}

fn prefill(loaded: &Loaded, count: u32) -> Result<()> {
    let mut runner = loaded.runner()?;
    let mut rate = 0.0;
    // The first round asks for memory.
    for _ in 0..2 {
        let sequence = runner.start();
        let start = Instant::now();
        let tokens: Vec<u32> = (0..count).map(|i| i * 37 % 30_000).collect();
        let chunks = tokens.chunks(CHUNK_ROWS);
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.enumerate() {
            let row = |token: &u32| Row {
                sequence,
                token: *token,
            };
            let rows: Vec<Row> = chunk.iter().map(row).collect();
            let wanted = [rows.len() - 1];
            runner.run(&rows, if i == last { &wanted } else { &[] })?;
        }
        runner.select(0, &Sampling::GREEDY, &mut || 0)?;
        rate = f64::from(count) / start.elapsed().as_secs_f64();
        runner.end(sequence);
    }
    println!("prefill  {count}: {rate:.0} tokens/s");
    Ok(())
}

fn main() -> Result<()> {
    let (mut shape, mut format) = ("8B".to_owned(), WeightFormat::Q8_0);
    let mut folder = PathBuf::from("target/bench");
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("shape", value)) => shape = value.to_owned(),
            Some(("format", "q8_0")) => format = WeightFormat::Q8_0,
            Some(("format", "q4_0")) => format = WeightFormat::Q4_0,
            Some(("folder", value)) => folder = PathBuf::from(value),
            _ => return Err(format!("no argument {argument}").into()),
        }
    }
    let gpu = Arc::new(Gpu::open()?);
    let speed = Speed::measure(&*gpu)?.copy_bytes_per_second;
    let model = Arc::new(model(&shape, format, &folder)?);
    let start = Instant::now();
    let loaded = Loaded::new(Box::new(gpu), Arc::clone(&model))?;
    println!("device   {}", loaded.name());
    println!("copies   {:.0} GB/s read and written", speed / 1e9);
    println!("loading  {:.1} s", start.elapsed().as_secs_f64());
    let engine = Engine::new(Arc::clone(&model), EngineOptions::default())?;
    prove(&engine, &loaded)?;
    println!("bits     equal to the processor's");
    let program = model.program();
    // The embedding is tied to the head, so it is read whole for the logits.
    let matrices = (0..program.weight_count()).filter(|tensor| program.is_matrix(*tensor));
    let read = matrices
        .map(|tensor| model.weights().tensor(tensor).bytes().len())
        .sum();
    for sequences in [1, 8] {
        decode(&loaded, sequences, read, speed)?;
    }
    for count in [128, 512, 2048] {
        prefill(&loaded, count)?;
    }
    Ok(())
}
