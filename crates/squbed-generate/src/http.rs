//! Requests to a server that may be slow, wrong or hostile.
//!
//! Each request has a limit of time as a whole and of bytes; 429, 5xx and broken connections are tried again with growing
//! pauses. Redirects are not followed, since they would carry the key elsewhere.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use reqwest::{
    StatusCode, Url,
    blocking::{Client, RequestBuilder, Response},
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;

/// Limits of requests.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// To connect.
    pub connect_timeout: Duration,
    /// One request from its start to its last byte.
    pub deadline: Duration,
    /// Tries of one request.
    pub attempts: u32,
    /// The first pause between tries; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause, whatever the server asks for.
    pub longest_pause: Duration,
    /// Bytes of an answer that is no file.
    pub max_bytes: u64,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(120),
            attempts: 5,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            max_bytes: 4 << 20,
        }
    }
}

/// What went wrong with a request. No variant holds the key.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// An address that cannot be used.
    #[error("the address `{given}` cannot be used: {why}")]
    Address {
        /// What was given, without a password.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A key with characters that no header takes.
    #[error(
        "the key holds characters that a header cannot carry; look at the environment variable that names it"
    )]
    Key,
    /// The client could not be made.
    #[error("cannot prepare requests")]
    Client(#[source] reqwest::Error),
    /// No connection, or one that broke.
    #[error("{url} cannot be reached: {why}")]
    Transport {
        /// The address.
        url: String,
        /// What happened.
        why: String,
    },
    /// A status that says no.
    #[error("{url} answered {status}: {message}{}", hint(*status))]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// What the server says, cut short.
        message: String,
    },
    /// The answer did not end in time.
    #[error("{url} did not finish its answer in {seconds} s; raise the limit, or ask another server")]
    Deadline {
        /// The address.
        url: String,
        /// The limit.
        seconds: u64,
    },
    /// The answer is longer than allowed.
    #[error("{url} answered with more than {limit} bytes; that is no answer to this question")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// What came could not be written.
    #[error("cannot write what came from the server")]
    Write(#[source] std::io::Error),
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; set the environment variable that holds the key",
        404 => "; look at the address, which most often ends in /v1, and at the model's name",
        _ => "",
    }
}

/// A server's base address, with the key for it.
pub struct Service {
    client: Client,
    base: Url,
    key: Option<String>,
    options: HttpOptions,
}

impl Service {
    /// A server below an address such as `http://localhost:8000/v1`.
    ///
    /// # Errors
    ///
    /// An address that is none, or that holds a password; a key that no header takes.
    pub fn new(base: &str, key: Option<String>, options: HttpOptions) -> Result<Self, HttpError> {
        let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let refuse = |given: &str, why| Err(HttpError::Address { given: given.to_owned(), why });
        let Ok(mut url) = Url::parse(base) else {
            return refuse(base, "write one such as http://localhost:8000/v1");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse(base, "it begins with https:// or http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(
                url.host_str().unwrap_or(""),
                "put the key into the environment, not into the address",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse(base, "leave `?` and `#` away");
        }
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if key.is_some() && url.scheme() == "http" && !local {
            return refuse(base, "a key goes over https alone, except to this machine");
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        if key.as_ref().is_some_and(|key| HeaderValue::from_str(key).is_err()) {
            return Err(HttpError::Key);
        }
        let client = Client::builder()
            .connect_timeout(options.connect_timeout)
            // Of a blocking client this is the limit of each read; the whole is watched below.
            .timeout(options.deadline)
            .redirect(Policy::none())
            .user_agent(concat!("squbed/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpError::Client)?;
        Ok(Self { client, base: url, key, options })
    }

    /// The base address.
    pub fn base(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// A text with the key blotted out.
    pub fn without_key(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| text.replace(key.as_str(), "[key]"))
    }

    /// Whether a text holds the key.
    pub fn has_key(&self, text: &str) -> bool {
        self.key.as_ref().is_some_and(|key| text.contains(key.as_str()))
    }

    /// What a server answers to JSON.
    ///
    /// # Errors
    ///
    /// As [`HttpError`] lists them, after the last try.
    pub fn post(&self, path: &str, body: &Value) -> Result<Vec<u8>, HttpError> {
        let url = self.url(path)?;
        let mut answer = Vec::new();
        self.tried(&url, self.options.max_bytes, &mut Sink::Memory(&mut answer), || {
            self.client.post(url.clone()).json(body)
        })?;
        Ok(answer)
    }

    /// What lies at a path.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    pub fn get(&self, path: &str) -> Result<Vec<u8>, HttpError> {
        let url = self.url(path)?;
        let mut answer = Vec::new();
        self.tried(&url, self.options.max_bytes, &mut Sink::Memory(&mut answer), || {
            self.client.get(url.clone())
        })?;
        Ok(answer)
    }

    /// Brings what lies at a path to a file, which is new or emptied.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post); a file that cannot be written.
    pub fn download(&self, path: &str, out: &Path, limit: u64) -> Result<(), HttpError> {
        let url = self.url(path)?;
        let mut file = File::create(out).map_err(HttpError::Write)?;
        self.tried(&url, limit, &mut Sink::File(&mut file), || self.client.get(url.clone()))
    }

    fn url(&self, path: &str) -> Result<Url, HttpError> {
        let why = "its path cannot be appended to";
        self.base.join(path).map_err(|_| HttpError::Address { given: self.base(), why })
    }

    fn tried(
        &self,
        url: &Url,
        limit: u64,
        into: &mut Sink<'_>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(), HttpError> {
        let (mut pause, mut attempt) = (self.options.pause, 0);
        loop {
            attempt += 1;
            into.empty().map_err(HttpError::Write)?;
            let (error, wanted) = match self.once(url, limit, into, request()) {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            let again = match &error {
                HttpError::Status { status, .. } => *status == 429 || *status == 408 || *status >= 500,
                HttpError::Transport { .. } => true,
                _ => false,
            };
            if !again || attempt >= self.options.attempts {
                return Err(error);
            }
            thread::sleep(wanted.unwrap_or(pause).min(self.options.longest_pause));
            pause *= 2;
        }
    }

    /// One try; of a refusal also how long the server asks to wait.
    fn once(
        &self,
        url: &Url,
        limit: u64,
        into: &mut Sink<'_>,
        mut request: RequestBuilder,
    ) -> Result<(), (HttpError, Option<Duration>)> {
        let begin = Instant::now();
        let bearer = self.key.as_ref().map(|key| HeaderValue::from_str(&format!("Bearer {key}")));
        if let Some(Ok(mut value)) = bearer {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let address = url.to_string();
        let response = request.send().map_err(|error| (self.transport(&address, &error), None))?;
        let status = response.status();
        if status.is_success() {
            return self.read(response, begin, limit, into).map_err(|error| (error, None));
        }
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut message = Vec::new();
        // What cannot be read of a refusal is left out; the status says enough.
        let _ = self.read(response, begin, 2048, &mut message);
        let message = String::from_utf8_lossy(&message).split_whitespace().collect::<Vec<_>>().join(" ");
        let message: String = self.without_key(&message).chars().take(300).collect();
        let message = if message.is_empty() { reason(status) } else { message };
        Err((
            HttpError::Status { url: address, status: status.as_u16(), message },
            wait.map(Duration::from_secs),
        ))
    }

    /// Reads an answer within the limits of time and size.
    fn read(
        &self,
        mut response: Response,
        begin: Instant,
        limit: u64,
        into: &mut impl Write,
    ) -> Result<(), HttpError> {
        let url = response.url().to_string();
        let (mut buffer, mut read) = ([0; 1 << 14], 0);
        loop {
            if begin.elapsed() > self.options.deadline {
                return Err(HttpError::Deadline { url, seconds: self.options.deadline.as_secs() });
            }
            match response.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    read += n as u64;
                    if read > limit {
                        return Err(HttpError::TooLarge { url, limit });
                    }
                    into.write_all(&buffer[..n]).map_err(HttpError::Write)?;
                }
                // A read that waits too long is a stall as well.
                Err(_) if begin.elapsed() >= self.options.deadline => {
                    return Err(HttpError::Deadline { url, seconds: self.options.deadline.as_secs() });
                }
                Err(error) => {
                    return Err(HttpError::Transport { url, why: self.without_key(&error.to_string()) });
                }
            }
        }
    }

    fn transport(&self, url: &str, error: &reqwest::Error) -> HttpError {
        if error.is_timeout() && !error.is_connect() {
            return HttpError::Deadline { url: url.to_owned(), seconds: self.options.deadline.as_secs() };
        }
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        HttpError::Transport { url: url.to_owned(), why: self.without_key(&why) }
    }
}

/// Where an answer goes.
enum Sink<'a> {
    Memory(&'a mut Vec<u8>),
    File(&'a mut File),
}

impl Sink<'_> {
    /// Forgets what an earlier try brought.
    fn empty(&mut self) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                bytes.clear();
                Ok(())
            }
            Self::File(file) => {
                file.set_len(0)?;
                file.rewind()
            }
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Memory(memory) => memory.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reason(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason given").to_owned()
}
