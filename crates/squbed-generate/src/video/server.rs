//! A video model behind a server with OpenAI's video API: `POST /videos`, `GET /videos/{id}`, `GET /videos/{id}/content`.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;
use squbed_core::{BoxError, GenerateRequest, VideoGenerator};

use crate::http::{HttpError, Service};

/// What is asked of a video server.
#[derive(Clone, Debug)]
pub struct VideoServerOptions {
    /// The model's name there.
    pub model: String,
    /// Width and height, e.g. `1280x720`; the server's own where not given.
    pub size: Option<String>,
    /// Length of a clip; the server's own where not given.
    pub seconds: Option<String>,
    /// Between questions whether a clip is done.
    pub poll: Duration,
    /// Longest time of one clip.
    pub timeout: Duration,
    /// Bytes of the largest clip.
    pub max_bytes: u64,
}

/// The server.
pub struct VideoServer {
    service: Service,
    options: VideoServerOptions,
}

/// Why a server made no clip.
#[derive(Debug, thiserror::Error)]
pub enum VideoServerError {
    /// A request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that says nothing of a video.
    #[error("{url} gave no description of a video: {what}")]
    Answer {
        /// The server.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The server failed at the clip.
    #[error("{url} could not make video {id}: {message}")]
    Failed {
        /// The server.
        url: String,
        /// The video.
        id: String,
        /// What it says.
        message: String,
    },
    /// The clip took too long.
    #[error("{url} did not finish video {id} in {seconds} s; it was {status} then")]
    TimedOut {
        /// The server.
        url: String,
        /// The video.
        id: String,
        /// The limit.
        seconds: u64,
        /// What the server said last.
        status: String,
    },
}

#[derive(Deserialize)]
struct Video {
    id: String,
    status: String,
    #[serde(default)]
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

impl VideoServer {
    /// A model of a server.
    pub fn new(service: Service, options: VideoServerOptions) -> Self {
        Self { service, options }
    }

    fn video(&self, bytes: &[u8]) -> Result<Video, VideoServerError> {
        let wrong = |what: String| VideoServerError::Answer { url: self.service.base(), what };
        let mut video: Video =
            serde_json::from_slice(bytes).map_err(|e| wrong(self.service.without_key(&e.to_string())))?;
        // It becomes a part of an address.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if video.id.is_empty() || video.id.len() > 200 || !video.id.chars().all(plain) {
            return Err(wrong("its id is no plain word".to_owned()));
        }
        if self.service.has_key(&video.id) {
            return Err(wrong("its id repeats the key".to_owned()));
        }
        video.status = self.service.without_key(&video.status).chars().take(40).collect();
        Ok(video)
    }

    fn make(&self, request: &GenerateRequest<'_>) -> Result<(), VideoServerError> {
        let begin = Instant::now();
        let mut body = json!({ "model": self.options.model, "prompt": request.prompt, "seed": request.seed });
        for (name, value) in [("size", &self.options.size), ("seconds", &self.options.seconds)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        let mut video = self.video(&self.service.post("videos", &body)?)?;
        let id = video.id.clone();
        let url = self.service.base();
        loop {
            match video.status.as_str() {
                "completed" => break,
                "failed" | "cancelled" | "expired" => {
                    let message = video.error.map_or_else(|| video.status.clone(), |error| error.message);
                    let message = self.service.without_key(&message).chars().take(300).collect();
                    return Err(VideoServerError::Failed { url, id, message });
                }
                _ if begin.elapsed() > self.options.timeout => {
                    let (seconds, status) = (self.options.timeout.as_secs(), video.status);
                    return Err(VideoServerError::TimedOut { url, id, seconds, status });
                }
                _ => thread::sleep(self.options.poll),
            }
            video = self.video(&self.service.get(&format!("videos/{id}"))?)?;
        }
        Ok(self.service.download(&format!("videos/{id}/content"), request.out, self.options.max_bytes)?)
    }
}

impl VideoGenerator for VideoServer {
    fn describe(&self) -> String {
        let mut text = format!("{} at {}", self.options.model, self.service.base());
        if let Some(size) = &self.options.size {
            text.push_str(&format!(", {size}"));
        }
        if let Some(seconds) = &self.options.seconds {
            text.push_str(&format!(", {seconds} s"));
        }
        text
    }

    fn generate(&self, request: &GenerateRequest<'_>) -> Result<(), BoxError> {
        Ok(self.make(request)?)
    }
}
