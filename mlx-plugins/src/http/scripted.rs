//! A server that does as it is told, to see what a client makes of it.

use reqwest::Url;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with a status, headers (`Name: value` lines) and a body.
    Reply(u16, Vec<String>, Vec<u8>),
    /// Sends these bytes, then breaks the connection.
    Cut(Vec<u8>),
    /// Says nothing and keeps the connection.
    Silence,
}

impl Act {
    pub(crate) fn json(status: u16, body: &str) -> Act {
        Act::Reply(status, vec!["Content-Type: application/json".to_owned()], body.as_bytes().to_vec())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Method and target: `GET /a?b=c`.
    pub(crate) fn target(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.rsplit_once(' ').map_or(line, |(target, _)| target)
    }
}

pub(crate) struct Scripted {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Plays the acts, one a request, and answers 500 to what comes after them.
    pub(crate) async fn play(acts: impl IntoIterator<Item = Act>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let acts: Arc<Mutex<VecDeque<Act>>> = Arc::new(Mutex::new(acts.into_iter().collect()));
        let record = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acts.clone(), record.clone()));
            }
        });
        Scripted { url, seen }
    }

    /// What has arrived so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, acts: Arc<Mutex<VecDeque<Act>>>, record: Arc<Mutex<Vec<Seen>>>) {
    let Some(seen) = request(&mut stream).await else { return };
    record.lock().unwrap().push(seen);
    let act = acts.lock().unwrap().pop_front();
    match act.unwrap_or_else(|| Act::json(500, r#"{"message":"the script has ended"}"#)) {
        Act::Reply(status, headers, body) => {
            let mut head =
                format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
            for header in headers {
                head.push_str(&header);
                head.push_str("\r\n");
            }
            head.push_str("\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
        Act::Cut(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Act::Silence => {
            // Until the client has given up.
            let _ = stream.read(&mut [0; 1]).await;
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut seen = Seen { head: String::from_utf8_lossy(&bytes[..end]).into_owned(), body: bytes[end + 4..].to_vec() };
    let length: usize = seen.header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(seen)
}
