//! Bindings of the contracts' interfaces, made from the committed artifacts.

#![allow(
    missing_docs,
    clippy::too_many_arguments,
    clippy::empty_structs_with_brackets
)]

/// Models.
pub mod models {
    alloy::sol!(
        #[sol(all_derives = true)]
        IModels,
        "../contracts/artifacts/IModels.json"
    );
    pub use IModels::*;
}
/// Inputs.
pub mod inbox {
    alloy::sol!(
        #[sol(all_derives = true)]
        IInbox,
        "../contracts/artifacts/IInbox.json"
    );
    pub use IInbox::*;
}
/// Fees.
pub mod fees {
    alloy::sol!(
        #[sol(all_derives = true)]
        IFees,
        "../contracts/artifacts/IFees.json"
    );
    pub use IFees::*;
}
/// Claims.
pub mod claims {
    alloy::sol!(
        #[sol(all_derives = true)]
        IClaims,
        "../contracts/artifacts/IClaims.json"
    );
    pub use IClaims::*;
}
/// Challenges.
pub mod challenges {
    alloy::sol!(
        #[sol(all_derives = true)]
        IChallenges,
        "../contracts/artifacts/IChallenges.json"
    );
    pub use IChallenges::*;
    pub use IFaults::Job;
    pub use IVouchers::Run;
}
/// Vouchers.
pub mod vouchers {
    alloy::sol!(
        #[sol(all_derives = true)]
        IVouchers,
        "../contracts/artifacts/IVouchers.json"
    );
    pub use IVouchers::*;
}
/// The application.
pub mod prompts {
    alloy::sol!(
        #[sol(all_derives = true)]
        IPrompts,
        "../contracts/artifacts/IPrompts.json"
    );
    pub use IPrompts::*;
}
