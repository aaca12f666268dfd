//! Servers that run for the length of a test.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a server may take to become ready. On a busy machine the slowest takes half a minute.
const READY: Duration = Duration::from_secs(180);

/// Where `install.py` puts what it installs.
pub(crate) fn installed(name: &str) -> PathBuf {
    let cache = || match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache"),
    };
    let root = std::env::var_os("MLX_SERVERS").map_or_else(|| cache().join("mlx-servers"), PathBuf::from);
    let venv = root.join(name);
    assert!(
        venv.join("installed").is_file(),
        "{name} is not installed in {}: run `python3 mlx-plugins/tests/servers/install.py`",
        root.display()
    );
    venv
}

/// A file beside `install.py`.
pub(crate) fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name)
}

/// How to start a server.
pub(crate) struct Launch {
    pub(crate) name: &'static str,
    /// The program, below the server's virtual environment.
    pub(crate) program: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The path that answers once it is ready.
    pub(crate) ready: &'static str,
}

/// A running server, in a process group of its own, on a port of its own of the loopback interface.
pub(crate) struct Server {
    launch: Launch,
    child: Option<Child>,
    pub(crate) port: u16,
    /// Its working directory, for its files and its log.
    pub(crate) folder: TempDir,
}

impl Server {
    /// Starts a server, and waits until it is ready. `launch` is given the port and the folder.
    pub(crate) async fn start(launch: impl FnOnce(u16, &Path) -> Launch) -> Server {
        let mut server = Server::begin(launch);
        server.wait().await;
        server
    }

    /// Starts a server, and does not wait for it.
    pub(crate) fn begin(launch: impl FnOnce(u16, &Path) -> Launch) -> Server {
        // Free now; whoever takes it in between makes the start fail, not the test pass.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let launch = launch(port, folder.path());
        let mut server = Server { launch, child: None, port, folder };
        server.spawn();
        server
    }

    /// The address, with `/` at its end.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Starts it again on the same port, with what it left in its folder.
    pub(crate) async fn restart(&mut self) {
        self.spawn();
        self.wait().await;
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.launch.name);
        let log = File::options().append(true).create(true).open(self.folder.path().join("log")).unwrap();
        let child = Command::new(installed(self.launch.name).join(self.launch.program))
            .args(&self.launch.arguments)
            .envs(self.launch.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.launch.name));
        self.child = Some(child);
    }

    async fn wait(&mut self) {
        let address = format!("http://127.0.0.1:{}{}", self.port, self.launch.ready);
        let began = Instant::now();
        loop {
            let status = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(status.is_none(), "{} ended with {}:\n{}", self.launch.name, status.unwrap(), self.log());
            if let Some(status) = self.status(&address).await
                && status != 503
            {
                return;
            }
            assert!(began.elapsed() < READY, "{} is not ready after {READY:?}:\n{}", self.launch.name, self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The status with which it answers, if it does.
    async fn status(&self, address: &str) -> Option<u16> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let path = address.splitn(4, '/').nth(3).unwrap_or_default();
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut head)).await.ok()?.ok()?;
        std::str::from_utf8(&head).ok()?.rsplit(' ').next()?.parse().ok()
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.signal("-KILL");
        self.child.take().unwrap().wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            // The whole group: some servers start workers.
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        }
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("-KILL");
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the end of the log of {}:", self.launch.name);
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// Runs a Python script with arguments in the environment of a server, and returns what it printed.
pub(crate) fn python(name: &str, script: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(installed(name).join("bin/python")).arg("-c").arg(script).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
