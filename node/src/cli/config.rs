//! `sworn config`.

use clap::Subcommand;

use super::Context;
use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting, its value and the layer it comes from.
    #[command(after_help = "\
Examples:
  sworn config show
  sworn config show --json
  SWORN_RPC_URL=http://10.0.0.7:8545 sworn config show --config other.toml")]
    Show,
}

pub(crate) fn run(command: &ConfigCommand, context: &Context) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show => show(context),
    }
}

fn show(context: &Context) -> Result<(), Failure> {
    let config = &context.config;
    let file = config.file.as_ref().map(|path| path.display().to_string());
    let settings: serde_json::Map<String, serde_json::Value> = config
        .entries
        .iter()
        .map(|entry| {
            let value = serde_json::json!({ "value": entry.shown(), "source": entry.source.to_string(), "env": entry.setting.env, "flag": entry.setting.flag });
            (entry.setting.key.to_owned(), value)
        })
        .collect();
    context
        .out
        .document(&serde_json::json!({ "file": file, "settings": settings }))?;
    context.out.line(format!(
        "configuration file: {}",
        file.as_deref().unwrap_or("none")
    ));
    let rows = config.entries.iter().map(|entry| {
        [
            entry.setting.key.to_owned(),
            entry.shown().unwrap_or("-").to_owned(),
            entry.source.to_string(),
            entry.setting.about.to_owned(),
        ]
    });
    context
        .out
        .table(["setting", "value", "from", "meaning"], rows);
    Ok(())
}
