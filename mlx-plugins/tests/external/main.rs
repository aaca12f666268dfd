//! The plugins for remote systems against servers that others wrote.
//!
//! ```sh
//! python3 mlx-plugins/tests/servers/install.py
//! cargo test -p mlx-plugins --features remote --test external
//! ```
//!
//! A server that is not installed, or does not start, fails the test.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod mlflow;
mod mlflow_auth;
mod mlflow_models;
mod openai;
mod server;
mod snowflake;
mod swap;
