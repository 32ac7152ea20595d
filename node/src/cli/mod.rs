//! Commands, their flags, and how they end.

mod config;
mod decimal;
mod failure;
mod generate;
mod logs;
mod model;
mod models;
mod output;
mod progress;
mod prompt;
mod sampling;
mod seed;
mod tokenize;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sworn_node::config::{Config, Inputs};

use failure::{Classify, Failure, Kind};
use output::Out;

/// What every command gets.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) out: Out,
}

const AFTER_HELP: &str = "\
Examples:
  sworn demo                                   a chain, the contracts and a node on this machine
  sworn ask \"Once upon a time\" -n 2            ask the demo for two responses
  sworn generate --prompt \"Once upon a time\"   the same engine, without any chain

Exit codes:
  0    done
  1    failed for another reason
  2    wrong use: a flag, an argument or the configuration
  3    bad input: a file, a prompt or a name that does not fit
  4    the chain, the deployment or the node: unreachable, wrong, or the transaction was refused
  5    timed out while waiting
  6    too early: not final, not posted or not due yet
  130  interrupted

Settings come from flags, then SWORN_* variables, then sworn.toml, then a running demo; `sworn config show` tells which.";

/// LLM answers that anyone can hold to account.
#[derive(Debug, Parser)]
#[command(name = "sworn", version, after_help = AFTER_HELP, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// Configuration file instead of ./sworn.toml or DATADIR/sworn.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where models, stores and the demo's state live.
    #[arg(long, global = true, value_name = "DIR")]
    datadir: Option<String>,
    /// JSON-RPC of the chain.
    #[arg(long, global = true, value_name = "URL")]
    rpc_url: Option<String>,
    /// addresses.json of the deployed contracts.
    #[arg(long, global = true, value_name = "FILE")]
    deployment: Option<String>,
    /// HTTP API of a node.
    #[arg(long, global = true, value_name = "URL")]
    api_url: Option<String>,
    /// File with the sender's private key (SWORN_KEY and SWORN_KEY_FILE work too).
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<String>,
    /// Send from development account N; chain 31337 only.
    #[arg(long, global = true, value_name = "N")]
    account: Option<String>,
    /// Longest wait of commands that wait.
    #[arg(long, global = true, value_name = "SECONDS")]
    timeout: Option<String>,
    /// Log lines as text or json.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Log more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log errors only and show no progress.
    #[arg(short, long, global = true)]
    quiet: bool,
}

impl GlobalArgs {
    fn flags(&self) -> BTreeMap<&'static str, String> {
        let level = match (self.quiet, self.verbose) {
            (true, _) => Some("error"),
            (false, 0) => None,
            (false, 1) => Some("debug"),
            (false, _) => Some("trace"),
        };
        let values = [
            ("datadir", self.datadir.clone()),
            ("rpc_url", self.rpc_url.clone()),
            ("deployment", self.deployment.clone()),
            ("api_url", self.api_url.clone()),
            ("key_file", self.key_file.clone()),
            ("account", self.account.clone()),
            ("timeout", self.timeout.clone()),
            ("log_format", self.log_format.clone()),
            ("log_level", level.map(str::to_owned)),
        ];
        values
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }
}

/// Flags of commands that compute.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineArgs {
    /// Threads; 0 is one per processor. The result is the same for any number.
    #[arg(long, value_name = "N")]
    threads: Option<String>,
    /// scalar, threaded or auto. The result is the same for each.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

impl EngineArgs {
    fn flags(&self) -> Vec<(&'static str, String)> {
        [("threads", &self.threads), ("backend", &self.backend)]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)))
            .collect()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a model on this machine, without any chain.
    Generate(generate::GenerateArgs),
    /// Turn text into tokens, or back.
    Tokenize(tokenize::TokenizeArgs),
    /// Import, list, show and verify models.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Show the configuration and where each value comes from.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

impl Command {
    /// Settings among the command's own flags.
    fn flags(&self) -> Vec<(&'static str, String)> {
        match self {
            Command::Generate(args) => args.engine.flags(),
            Command::Tokenize(_) | Command::Model(_) | Command::Config(_) => Vec::new(),
        }
    }

    fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Command::Generate(args) => generate::run(args, context),
            Command::Tokenize(args) => tokenize::run(args, context),
            Command::Model(command) => model::run(command, context),
            Command::Config(command) => config::run(command, context),
        }
    }
}

/// Parses the command line, runs the command, and reports its failure.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions are no errors: clap tells them apart by the exit code.
            let code = error.exit_code();
            let _ = error.print();
            return ExitCode::from(u8::try_from(code).unwrap_or(2));
        }
    };
    let out = Out::new(cli.global.json);
    match run(&cli, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.kind.code())
        }
    }
}

fn run(cli: &Cli, out: Out) -> Result<(), Failure> {
    let mut flags = cli.global.flags();
    flags.extend(cli.command.flags());
    let config = Config::resolve(&Inputs::from_process(flags, cli.global.config.clone()))
        .exit(Kind::Usage)?;
    logs::start(&config)?;
    progress::set_quiet(cli.global.quiet);
    cli.command.run(&Context { config, out })
}
