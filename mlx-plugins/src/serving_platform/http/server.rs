//! An address and its connections, and who answers there. It outlives the plugin: a successor at the same address takes it
//! over between two requests, and no connection notices.

use super::stalled::Stalled;
use axum::{
    Router,
    http::{HeaderValue, header},
};
use hyper::{
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use mlx_core::prelude::*;
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, Notify, watch},
    task::{AbortHandle, JoinHandle, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

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
    /// For everything in flight when the server stops.
    pub(super) grace: Duration,
}

/// Takes the address.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
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

/// One who answers: the routes of one instance of the plugin.
pub(super) struct Front {
    routes: TowerToHyperService<Router>,
    limits: Limits,
    /// Requests that have been given to it and are not answered.
    in_flight: watch::Sender<usize>,
}

impl Front {
    pub(super) fn new(routes: Router, limits: Limits) -> Arc<Self> {
        Arc::new(Front { routes: TowerToHyperService::new(routes), limits, in_flight: watch::Sender::new(0) })
    }

    /// Waits until all its requests are answered, for a time. Returns how many are not.
    async fn finish(&self) -> usize {
        let mut in_flight = self.in_flight.subscribe();
        let idle = in_flight.wait_for(|count| *count == 0);
        match time::timeout(self.limits.grace, idle).await {
            Ok(_) => 0,
            Err(_) => *self.in_flight.borrow(),
        }
    }
}

/// A request that a front answers.
struct Answering(Arc<Front>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

/// A running accept loop with its connections. Dropping the last reference stops it without waiting.
pub(super) struct Server {
    /// What the settings said.
    asked: SocketAddr,
    /// Where it really is.
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends with the number of connections that were cut off.
    task: Mutex<Option<JoinHandle<usize>>>,
    running: AbortHandle,
}

struct Shared {
    turn: RwLock<Turn>,
    open: AtomicUsize,
    /// Another front has other limits.
    turned: Notify,
    /// Whether each answer ends its connection.
    lingering: AtomicBool,
    /// Cancelled when no more connections are accepted.
    unbound: CancellationToken,
    /// Cancelled when connections end as soon as no request is being answered on them.
    closing: CancellationToken,
}

struct Turn {
    current: Arc<Front>,
    next: Option<Next>,
}

/// What comes after the one who answers now.
enum Next {
    /// Another front.
    Here(Arc<Front>),
    /// The server of another front, at another address.
    Elsewhere(Arc<Front>),
}

impl Next {
    fn is(&self, front: &Arc<Front>) -> bool {
        let (Next::Here(next) | Next::Elsewhere(next)) = self;
        Arc::ptr_eq(next, front)
    }
}

/// What a front leaves behind.
enum Left {
    /// It had its turn before, or not yet.
    Nothing,
    /// A server on which another one answers.
    Passed,
    /// A server that moved.
    Moved,
    /// A server without anybody.
    Alone,
}

impl Server {
    /// Takes the address, and lets `front` answer there.
    pub(super) async fn start(asked: SocketAddr, front: impl FnOnce(SocketAddr) -> Arc<Front>) -> Result<Arc<Self>> {
        let (socket, address) = bind(asked).await?;
        let shared = Arc::new(Shared {
            turn: RwLock::new(Turn { current: front(address), next: None }),
            open: AtomicUsize::new(0),
            turned: Notify::new(),
            lingering: AtomicBool::new(false),
            unbound: CancellationToken::new(),
            closing: CancellationToken::new(),
        });
        let task = tokio::spawn(accept(socket, shared.clone()));
        let running = task.abort_handle();
        Ok(Arc::new(Server { asked, address, shared, task: Mutex::new(Some(task)), running }))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is what somebody wants who asks for this address.
    pub(super) fn is_at(&self, asked: SocketAddr) -> bool {
        self.is_running() && !self.shared.unbound.is_cancelled() && (asked == self.asked || asked == self.address)
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Whether connections are accepted.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// Lets `front` answer here once the one who answers now leaves.
    pub(super) fn follow(&self, front: &Arc<Front>) {
        self.shared.turn_mut().next = Some(Next::Here(front.clone()));
    }

    /// Notes that `front` answers at another address once the one who answers here leaves.
    pub(super) fn move_to(&self, front: &Arc<Front>) {
        self.shared.turn_mut().next = Some(Next::Elsewhere(front.clone()));
    }

    /// Ends the turn of a front, or its wait for one. A request that comes after this is answered by the next.
    fn pass_on(&self, front: &Arc<Front>) -> Left {
        let mut turn = self.shared.turn_mut();
        if turn.next.as_ref().is_some_and(|next| next.is(front)) {
            turn.next = None;
            return Left::Nothing;
        }
        if !Arc::ptr_eq(&turn.current, front) {
            return Left::Nothing;
        }
        match turn.next.take() {
            Some(Next::Here(next)) => {
                turn.current = next;
                drop(turn);
                self.shared.turned.notify_one();
                Left::Passed
            }
            Some(Next::Elsewhere(_)) => Left::Moved,
            None => Left::Alone,
        }
    }

    /// As [`leave`](Self::leave), without waiting.
    pub(super) fn forsake(&self, front: &Arc<Front>) {
        if let Left::Moved | Left::Alone = self.pass_on(front) {
            self.shared.close();
        }
    }

    /// Ends the turn of a front, and lets its requests in flight finish for a time. Where another one follows, that one
    /// answers on the same connections; where none does, `last` is called and the port is freed.
    ///
    /// # Errors
    /// What did not finish.
    pub(super) async fn leave(&self, front: &Arc<Front>, last: impl FnOnce()) -> Result<()> {
        match self.pass_on(front) {
            Left::Nothing => return Ok(()),
            Left::Passed => {
                return match front.finish().await {
                    0 => Ok(()),
                    n => Err(Error::timeout(format!("{n} requests are still being answered as before the change"))),
                };
            }
            Left::Moved => {
                // Clients may be about to send on connections that are idle: these are told to go by an answer, not by
                // a connection that ends under a request.
                self.shared.lingering.store(true, Ordering::Relaxed);
                self.shared.unbound.cancel();
            }
            Left::Alone => {
                last();
                self.shared.close();
            }
        }
        let cut = match self.task.lock().await.take() {
            Some(task) => task.await.unwrap_or(0),
            None => 0,
        };
        match cut {
            0 => Ok(()),
            n => Err(Error::timeout(format!(
                "{n} connections had requests that did not finish in time, and were cut off"
            ))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn turn(&self) -> RwLockReadGuard<'_, Turn> {
        self.turn.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_mut(&self) -> RwLockWriteGuard<'_, Turn> {
        self.turn.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> Limits {
        self.turn().current.limits
    }

    /// Gives a request to the one whose turn it is, who cannot be left behind from here on.
    fn enter(&self) -> Answering {
        let turn = self.turn();
        turn.current.in_flight.send_modify(|count| *count += 1);
        Answering(turn.current.clone())
    }

    fn close(&self) {
        self.closing.cancel();
        self.unbound.cancel();
    }
}

async fn accept(socket: TcpListener, shared: Arc<Shared>) -> usize {
    let mut connections = JoinSet::new();
    loop {
        shared.open.store(connections.len(), Ordering::Relaxed);
        let limits = shared.limits();
        tokio::select! {
            biased;
            () = shared.unbound.cancelled() => break,
            () = shared.turned.notified() => {}
            Some(_) = connections.join_next() => {}
            accepted = socket.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, shared.clone(), limits.timeout));
                }
                // The client was gone before it was accepted; the next one has nothing to do with it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    if shared.lingering.load(Ordering::Relaxed) {
        // These clients have been told by the system that they are connected.
        while let Some(stream) = accept_now(&socket).await {
            connections.spawn(serve(stream, shared.clone(), shared.limits().timeout));
        }
    }
    drop(socket);
    let mut grace = shared.limits().grace;
    if shared.lingering.load(Ordering::Relaxed) {
        grace /= 2;
        let _ = time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
        shared.closing.cancel();
    }
    let drained = time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    let cut = if drained.is_ok() { 0 } else { connections.len() };
    connections.shutdown().await;
    shared.open.store(0, Ordering::Relaxed);
    cut
}

/// A connection that waits to be accepted.
async fn accept_now(socket: &TcpListener) -> Option<TcpStream> {
    poll_fn(|cx| match socket.poll_accept(cx) {
        Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
        _ => Poll::Ready(None),
    })
    .await
}

/// Answers the requests of one connection. It ends in errors only when the client went away, was too slow or spoke
/// something else, so there is nobody to tell.
async fn serve(stream: TcpStream, shared: Arc<Shared>, timeout: Duration) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let closing = shared.closing.clone();
    let answer = service_fn(move |request| {
        let (shared, answering) = (shared.clone(), shared.enter());
        let answer = answering.0.routes.call(request);
        async move {
            let mut response = answer.await?;
            if shared.lingering.load(Ordering::Relaxed) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            drop(answering);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Stalled::new(stream, timeout)), answer)
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
