//! What a challenger does next, and what a proposer answers.
