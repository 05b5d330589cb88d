//! Models behind an OpenAI-compatible endpoint: requests in flight, retries, a journal, and a limit on what is spent.
