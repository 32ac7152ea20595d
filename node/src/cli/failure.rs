//! How commands fail.

/// Kinds of failure, each with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "kinds are an interface; commands use them as they come"
)]
pub(crate) enum Kind {
    /// Any other reason.
    Other,
    /// A verdict: what was checked is wrong.
    Wrong,
    /// A check that did not come to a verdict.
    Undecided,
    /// A flag, an argument or the configuration.
    Usage,
    /// A file, a prompt or a name.
    Input,
    /// The chain, the deployment or the node.
    Chain,
    /// Waited too long.
    Timeout,
    /// Not final, not posted or not due yet.
    TooEarly,
    /// Control-C.
    Interrupted,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::Other | Kind::Wrong => 1,
            Kind::Usage | Kind::Undecided => 2,
            Kind::Input => 3,
            Kind::Chain => 4,
            Kind::Timeout => 5,
            Kind::TooEarly => 6,
            Kind::Interrupted => 130,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Other => "failed",
            Kind::Wrong => "wrong",
            Kind::Undecided => "undecided",
            Kind::Usage => "usage",
            Kind::Input => "input",
            Kind::Chain => "chain",
            Kind::Timeout => "timeout",
            Kind::TooEarly => "too_early",
            Kind::Interrupted => "interrupted",
        }
    }
}

/// An error with the exit code it ends the process with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            error: anyhow::Error::msg(message.into()),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    pub(crate) fn input(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Input, message)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure {
            kind: Kind::Other,
            error: error.into(),
        }
    }
}

/// Gives an error its exit code.
pub(crate) trait Classify<T> {
    fn exit(self, kind: Kind) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Classify<T> for Result<T, E> {
    fn exit(self, kind: Kind) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            kind,
            error: error.into(),
        })
    }
}
