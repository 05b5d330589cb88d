//! What an answer may look like: a set of labels, a regular expression or a JSON schema, token by token.
