//! Accepting connections, and ending them.

use super::stalled::Stalled;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use mlx_core::prelude::*;
use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::{AbortHandle, JoinHandle, JoinSet},
    time,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes of a request's head, at most.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Pause after an error that would only repeat itself, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds on connections.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    /// For the head of a request, and for each step of writing an answer.
    pub(super) timeout: Duration,
    /// For everything in flight when the listener stops.
    pub(super) grace: Duration,
}

/// Takes the address.
pub(super) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let bound = async {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    bound.await.map_err(|error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "stop the program that uses it, or set `address` to another port; port 0 takes any free one"
            }
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; set `address` to a higher one",
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; 127.0.0.1 is itself, 0.0.0.0 all of its addresses"
            }
            _ => "set `address` to one that this machine can listen on",
        };
        let kind = Error::from(io::Error::from(error.kind())).kind();
        Error::new(kind, format!("cannot listen on {address}: {error}; {advice}")).with_source(error)
    })
}

/// A running accept loop. Dropping it stops it as [`stop`](Self::stop) does, without waiting.
pub(super) struct Listener {
    stopping: DropGuard,
    connections: Arc<AtomicUsize>,
    /// Ends with the number of connections that were cut off.
    task: Mutex<Option<JoinHandle<usize>>>,
    running: AbortHandle,
}

impl Listener {
    pub(super) fn start(socket: TcpListener, router: Router, limits: Limits, stopping: CancellationToken) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(socket, router, limits, stopping.clone(), connections.clone()));
        let running = task.abort_handle();
        Listener { stopping: stopping.drop_guard(), connections, task: Mutex::new(Some(task)), running }
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether connections are accepted.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// Frees the port, lets requests in flight finish for a time, and returns how many connections were cut off.
    pub(super) async fn stop(&self) -> usize {
        self.stopping.token().cancel();
        match self.task.lock().await.take() {
            Some(task) => task.await.unwrap_or(0),
            None => 0,
        }
    }
}

async fn accept(
    socket: TcpListener,
    router: Router,
    limits: Limits,
    stopping: CancellationToken,
    open: Arc<AtomicUsize>,
) -> usize {
    let mut connections = JoinSet::new();
    loop {
        open.store(connections.len(), Ordering::Relaxed);
        tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, router.clone(), limits.timeout, stopping.clone()));
                }
                // The client was gone before it was accepted; the next one has nothing to do with it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(socket);
    let drained = time::timeout(limits.grace, async { while connections.join_next().await.is_some() {} }).await;
    let cut = if drained.is_ok() { 0 } else { connections.len() };
    connections.shutdown().await;
    open.store(0, Ordering::Relaxed);
    cut
}

/// Answers the requests of one connection. It ends in errors only when the client went away, was too slow or spoke
/// something else, so there is nobody to tell.
async fn serve(stream: TcpStream, router: Router, timeout: Duration, stopping: CancellationToken) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Stalled::new(stream, timeout)), TowerToHyperService::new(router))
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
