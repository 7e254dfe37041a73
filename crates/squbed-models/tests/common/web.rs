//! A web server of a few threads on this machine, whose answers a closure gives.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A request; names of headers are in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// A path, or from a client that takes this server for its proxy a whole address.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    /// The first byte that is asked for, and the last where it is named.
    pub(crate) fn range(&self) -> Option<(usize, Option<usize>)> {
        let (first, last) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body that are sent before the connection closes.
    sent: usize,
}

impl Response {
    pub(crate) fn new(status: &str, body: &[u8]) -> Self {
        Self { status: status.to_owned(), headers: Vec::new(), body: body.to_vec(), sent: body.len() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.sent = bytes.min(self.body.len());
        self
    }

    /// `file`, or the part of it that the request asks for.
    pub(crate) fn file(request: &Request, file: &[u8]) -> Self {
        match request.range() {
            Some((first, _)) if first >= file.len() => Self::new("416 Range Not Satisfiable", b""),
            Some((first, last)) => {
                let last = last.unwrap_or(usize::MAX).min(file.len() - 1);
                let range = format!("bytes {first}-{last}/{}", file.len());
                Self::new("206 Partial Content", &file[first..=last]).header("Content-Range", &range)
            }
            None => Self::new("200 OK", file),
        }
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::new("302 Found", b"").header("Location", to)
    }

    pub(crate) fn not_found() -> Self {
        Self::new("404 Not Found", b"")
    }
}

/// The server; it ends with the test.
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn new(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::over("http", |stream| stream, answer)
    }

    /// A server that speaks `scheme`, over connections that `wrap` makes of those that come.
    pub(crate) fn over<S: Read + Write>(
        scheme: &str,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, shared) = (Arc::clone(&requests), Arc::new((wrap, answer)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, shared) = (Arc::clone(&seen), Arc::clone(&shared));
                // A client that closes early is no fault of the test.
                thread::spawn(move || serve(shared.0(stream.unwrap()), &seen, &shared.1).ok());
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn gets(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.method == "GET").collect()
    }

    pub(crate) fn forget(&self) {
        self.requests.lock().unwrap().clear();
    }
}

fn serve(
    stream: impl Read + Write,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Response + Send + Sync),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let request = Request { method, target, headers };
    let response = answer(&request);
    seen.lock().unwrap().push(request.clone());
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {}\r\nContent-Length: {}\r\n", response.status, response.body.len())?;
    for (name, value) in &response.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"Connection: close\r\n\r\n")?;
    if request.method != "HEAD" {
        stream.write_all(&response.body[..response.sent])?;
    }
    stream.flush()
}

/// A hub as the real one behaves, with its large files on a second server, its CDN.
pub(crate) struct FakeHub {
    pub(crate) hub: Server,
    pub(crate) cdn: Server,
}

impl FakeHub {
    /// Serves one file as `/a/b/resolve/main/FILE`, to those with the token where one is given.
    pub(crate) fn new(file: &'static str, content: &'static [u8], token: Option<&'static str>) -> Self {
        let cdn = Server::new(move |request| {
            let signed = request.target.starts_with("/blob?signature=");
            if signed { Response::file(request, content) } else { Response::new("403 Forbidden", b"") }
        });
        let blob = format!("{}/blob?signature=s3cret", cdn.address);
        let hub = Server::new(move |request| {
            let path = request.target.trim_start_matches("http://hub.example");
            let with = |name: &str| request.header(name).unwrap_or_default().to_owned();
            if token.is_some_and(|token| with("authorization") != format!("Bearer {token}")) {
                let body = br#"{"error": "Access to model a/b is restricted."}"#;
                return Response::new("401 Unauthorized", body).header("X-Error-Code", "GatedRepo");
            }
            if path != format!("/a/b/resolve/main/{file}") {
                return Response::not_found().header("X-Error-Code", "EntryNotFound");
            }
            Response::redirect(&blob)
                .header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
                .header("X-Linked-Size", &content.len().to_string())
                .header(
                    "X-Linked-ETag",
                    "\"5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef\"",
                )
                .header("ETag", "W/\"git-object\"")
        });
        Self { hub, cdn }
    }
}
