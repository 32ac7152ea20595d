//! Logs go to stderr, as text or as JSON lines.

use std::io::IsTerminal;

use sworn_node::config::LogFormat;
use tracing_subscriber::EnvFilter;

use super::failure::{Failure, Kind};

pub(crate) fn start(format: LogFormat, level: &str) -> Result<(), Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(
            Kind::Usage,
            format!(
                "log_level: found `{level}` ({error}), expected error, warn, info, debug, trace or module=level; correct -v, SWORN_LOG or sworn.toml"
            ),
        )
    };
    // At the usual levels only the project's own modules speak: the HTTP and store libraries have their own ideas of what matters.
    let directives = match level {
        "info" | "debug" | "warn" => format!(
            "warn,sworn={level},sworn_node={level},sworn_inference={level},sworn_prover={level}",
            level = level
        ),
        other => other.to_owned(),
    };
    let filter = EnvFilter::try_new(&directives).map_err(|error| bad(&error))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour);
    // A second call (tests) keeps the first subscriber.
    let _ = match format {
        LogFormat::Json => builder.json().with_ansi(false).try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    };
    Ok(())
}
