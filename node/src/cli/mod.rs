//! Commands, their flags, and how they end.

mod answers;
mod api;
mod ask;
mod asking;
mod challenges;
mod config;
mod decimal;
mod demo;
mod deploy;
mod dev;
mod devnet;
mod export;
mod failure;
mod follow;
mod generate;
mod logs;
mod model;
mod models;
mod money;
mod node;
mod output;
mod progress;
mod prompt;
mod rank;
mod records;
mod register;
mod sampling;
mod seed;
mod session;
mod show;
mod shutdown;
mod status;
mod tokenize;
mod told;
mod verify;
mod wallet;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sworn_node::config::{Config, Inputs, Source};

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
    /// auto, scalar, threaded, portable, avx2, avx512, neon, dotprod or cuda. The result is the same for each.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// An imported model that guesses tokens for a larger one with the same vocabulary. The result is the same without it.
    #[arg(long, value_name = "MODEL")]
    draft: Option<String>,
    /// Memory for models: auto, any (no check), or a size such as 6GiB. What does not fit is refused before it is opened.
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
}

impl EngineArgs {
    fn flags(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("threads", &self.threads),
            ("backend", &self.backend),
            ("draft", &self.draft),
            ("memory", &self.memory),
        ];
        { flags.into_iter() }
            .filter_map(|(key, value)| Some((key, value.clone()?)))
            .collect()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a chain, the contracts and a node on this machine.
    Demo(demo::DemoArgs),
    /// Ask a model by a transaction and wait for the answer.
    Ask(ask::AskArgs),
    /// List the prompts asked.
    Prompts(show::PromptsArgs),
    /// Show one prompt: responses, claim, rankings.
    Show(show::ShowArgs),
    /// Check a claim by the model itself.
    Verify(verify::VerifyArgs),
    /// List challenged claims: open nodes, clocks, money.
    Challenges(challenges::ChallengesArgs),
    /// Rank the responses of a prompt.
    Rank(rank::RankArgs),
    /// Write preference data for training.
    Export(export::ExportArgs),
    /// Run a model on this machine, without any chain.
    Generate(generate::GenerateArgs),
    /// Turn text into tokens, or back.
    Tokenize(tokenize::TokenizeArgs),
    /// Import, list, show, verify and register models.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Run a node: answer, claim, make final, post.
    Node(node::NodeArgs),
    /// Run the embedded development chain alone.
    Devnet(devnet::DevnetArgs),
    /// Deploy the contracts.
    Deploy(deploy::DeployArgs),
    /// Show the chain, the deployment, the models and the node.
    #[command(after_help = status::EXAMPLES)]
    Status,
    /// Get the fee of an unanswered prompt back.
    Refund(money::RefundArgs),
    /// Withdraw released bonds, earned fees and refunds.
    Withdraw(money::WithdrawArgs),
    /// Move time and mine blocks on a development chain.
    #[command(subcommand)]
    Dev(dev::DevCommand),
    /// Show the configuration and where each value comes from.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

impl Command {
    /// Settings among the command's own flags.
    fn flags(&self) -> Vec<(&'static str, String)> {
        match self {
            Command::Demo(args) => args.engine.flags(),
            Command::Generate(args) => args.engine.flags(),
            Command::Node(args) => args.flags(),
            Command::Verify(args) => args.engine.flags(),
            _ => Vec::new(),
        }
    }

    /// The log level when nothing sets one: commands that print their own steps only warn.
    fn usual_log_level(&self) -> Option<&'static str> {
        match self {
            Command::Demo(args) if args.is_once() => Some("warn"),
            _ => None,
        }
    }

    fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Command::Demo(args) => demo::run(args, context),
            Command::Ask(args) => ask::run(args, context),
            Command::Prompts(args) => show::run_prompts(args, context),
            Command::Show(args) => show::run_show(args, context),
            Command::Verify(args) => verify::run(args, context),
            Command::Challenges(args) => challenges::run(args, context),
            Command::Rank(args) => rank::run(args, context),
            Command::Export(args) => export::run(args, context),
            Command::Generate(args) => generate::run(args, context),
            Command::Tokenize(args) => tokenize::run(args, context),
            Command::Model(command) => model::run(command, context),
            Command::Node(args) => node::run(args, context),
            Command::Devnet(args) => devnet::run(args, context),
            Command::Deploy(args) => deploy::run(args, context),
            Command::Status => status::run(context),
            Command::Refund(args) => money::run_refund(args, context),
            Command::Withdraw(args) => money::run_withdraw(args, context),
            Command::Dev(command) => dev::run(command, context),
            Command::Config(command) => config::run(command, context),
        }
    }
}

/// Parses the command line, runs the command, and reports its failure.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
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

/// Help, versions and usage errors as clap words them.
fn usage(error: &clap::Error) -> ExitCode {
    // Help and versions are no errors: they go to stdout. What was not parsed cannot tell whether JSON is wanted.
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        Out::new(true).failure(&Failure::usage(error.to_string().trim_end()));
    } else {
        // A closed pipe is no reason to fail.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run(cli: &Cli, out: Out) -> Result<(), Failure> {
    let mut flags = cli.global.flags();
    flags.extend(cli.command.flags());
    let config = Config::resolve(&Inputs::from_process(flags, cli.global.config.clone()))
        .exit(Kind::Usage)?;
    let is_default = config.source("log_level") == Some(&Source::Default);
    let level = cli.command.usual_log_level().filter(|_| is_default);
    logs::start(config.log_format, level.unwrap_or(&config.log_level))?;
    progress::set_quiet(cli.global.quiet);
    cli.command.run(&Context { config, out })
}
