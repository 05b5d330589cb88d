//! How a model answers, one file per `output_type`. Each encodes the items, asks the model once, and scores what comes back.

pub(crate) mod generate_until;
pub(crate) mod loglikelihood;
pub(crate) mod multiple_choice;
pub(crate) mod rolling;
