//! What can be wrong with a log, for a person to read.
