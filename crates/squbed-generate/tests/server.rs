//! A chat server that behaves, and one that does not.

mod common;

use std::time::Duration;

use common::{Reply, Request, Server};
use serde_json::json;
use squbed_core::BoxError;
use squbed_generate::{
    chat::{ChatAnswer, ChatModel, ChatRequest, ServerChat, ServerOptions},
    http::{HttpError, HttpOptions, Service},
};
use squbed_models::llm::{Message, TokenSampling};

const KEY: &str = "sk-very-s3cret";

fn limits() -> HttpOptions {
    HttpOptions {
        deadline: Duration::from_millis(1500),
        attempts: 4,
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        max_bytes: 1 << 16,
        ..HttpOptions::default()
    }
}

fn chat(server: &Server, token_cap: Option<u64>) -> ServerChat {
    let service = Service::new(&format!("{}/v1", server.address), Some(KEY.to_owned()), limits()).unwrap();
    ServerChat::new(service, ServerOptions { model: "m".to_owned(), concurrency: 3, token_cap }).unwrap()
}

fn ask(chat: &ServerChat, n: usize) -> Result<Vec<ChatAnswer>, BoxError> {
    let messages = [Message::user("a cat")];
    let sampling = TokenSampling::default();
    chat.answers(&ChatRequest { messages: &messages, n, max_tokens: 20, sampling: &sampling, seed: 7 })
}

/// The last word of a failure, with every cause; the key is in none.
fn failure(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> (String, usize) {
    let server = Server::new(answer);
    let error = ask(&chat(&server, None), 1).unwrap_err();
    let text = format!("{}\n{error:?}", squbed_core::causes(&*error).join(": "));
    assert!(!text.contains(KEY), "{text}");
    (text, server.requests().len())
}

#[test]
fn answers_come_structured_with_key_seed_and_limits() {
    let server = Server::new(|_, _| Reply::chat("{\"description\": \"A grey cat sleeps.\"}"));
    let chat = chat(&server, None);
    let answers = ask(&chat, 3).unwrap();
    assert_eq!(answers, vec![ChatAnswer { text: "A grey cat sleeps.".to_owned(), cut: false }; 3]);
    let requests = server.requests();
    let mut seeds: Vec<u64> = requests.iter().map(|r| r.body["seed"].as_u64().unwrap()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [7, 8, 9]);
    for request in &requests {
        assert_eq!(request.line, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(request.authorization.as_deref(), Some("Bearer sk-very-s3cret"));
        assert_eq!(request.body["messages"], json!([{ "role": "user", "content": "a cat" }]));
        assert_eq!((&request.body["max_tokens"], &request.body["model"]), (&json!(20), &json!("m")));
        assert_eq!(request.body["response_format"]["type"], "json_schema");
    }
    assert_eq!(chat.tokens(), 300);
    assert!(!chat.describe().contains(KEY));
}

#[test]
fn a_server_without_schemas_is_asked_without() {
    let server = Server::new(|request, _| match request.body.get("response_format") {
        Some(_) => Reply::status("400 Bad Request", "response_format is unknown"),
        None => Reply::chat("A grey cat sleeps."),
    });
    let chat = chat(&server, None);
    for _ in 0..2 {
        assert_eq!(ask(&chat, 1).unwrap()[0].text, "A grey cat sleeps.");
    }
    // The refusal is remembered.
    assert_eq!(server.requests().len(), 3);
    let yes = Server::new(|_, i| Reply::chat(["Yes.", "no", "perhaps", "**Yes"][i % 4]));
    let answers = (0..3).map(|_| self::chat(&yes, None).says_yes(&[vec![Message::user("?")]]).unwrap()[0]);
    assert_eq!(answers.collect::<Vec<_>>(), [Some(true), Some(false), None]);
}

#[test]
fn a_busy_server_is_asked_again_and_a_refusal_is_not() {
    let server = Server::new(|_, i| match i {
        0 => Reply::Whole(
            "429 Too Many Requests",
            vec![("Retry-After", "0".to_owned())],
            b"slow down".to_vec(),
        ),
        1 => Reply::status("503 Service Unavailable", ""),
        2 => Reply::Nothing,
        _ => Reply::chat("A cat."),
    });
    assert_eq!(ask(&chat(&server, None), 1).unwrap()[0].text, "A cat.");
    assert_eq!(server.requests().len(), 4);

    let (text, requests) = failure(|_, _| Reply::status("500 Internal Server Error", "no luck"));
    assert!(text.contains("answered 500: no luck") && requests == 4, "{text} {requests}");
    let (text, requests) = failure(|_, _| Reply::status("401 Unauthorized", "bad key sk-very-s3cret"));
    assert!(text.contains("bad key [key]; set the environment variable"), "{text}");
    assert_eq!(requests, 1);
    // A redirect would carry the key away.
    let (text, requests) = failure(|_, _| {
        Reply::Whole("302 Found", vec![("Location", "http://127.0.0.1:1/x".to_owned())], Vec::new())
    });
    assert!(text.contains("answered 302") && requests == 1, "{text}");
}

#[test]
fn a_server_that_lies_truncates_stalls_or_never_ends_is_survived() {
    for (body, part) in [
        (&b"no json"[..], "gave no chat completion"),
        (b"{}", "gave no chat completion"),
        (b"{\"choices\": []}", "it has no choices"),
        (b"{\"choices\": [{\"message\": {}}]}", "its message has no content"),
        (b"{\"choices\": [{\"message\": {\"content\": \"sk-very-s3cret\"}}]}", "the answer repeats the key"),
        (b"\"sk-very-s3cret\"", "gave no chat completion"),
    ] {
        let (text, _) = failure(move |_, _| Reply::Whole("200 OK", Vec::new(), body.to_vec()));
        assert!(text.contains(part), "{text}");
    }
    let (text, requests) = failure(|_, _| Reply::Truncated(b"{\"choices\": [".to_vec()));
    assert!(text.contains("cannot be reached") && requests == 4, "{text}");
    let (text, _) = failure(|_, _| Reply::Endless(&[b' '; 4096], Duration::ZERO));
    assert!(text.contains("answered with more than 65536 bytes"), "{text}");
    // One byte now and then: no read times out, and the whole does.
    let (text, requests) = failure(|_, _| Reply::Endless(b" ", Duration::from_millis(50)));
    assert!(text.contains("did not finish its answer") && requests == 1, "{text}");
    let (text, _) = failure(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        Reply::Nothing
    });
    assert!(text.contains("did not finish its answer"), "{text}");
}

#[test]
fn the_token_cap_ends_a_run() {
    let server = Server::new(|_, _| Reply::chat("A cat."));
    let chat = chat(&server, Some(250));
    for _ in 0..3 {
        ask(&chat, 1).unwrap();
    }
    let error = ask(&chat, 1).unwrap_err().to_string();
    assert_eq!(error, "the run has taken 300 tokens, and its cap is 250; raise it to go on");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn addresses_that_would_give_the_key_away_are_refused() {
    let service =
        |address: &str| Service::new(address, Some(KEY.to_owned()), limits()).err().map(|e| e.to_string());
    for (address, part) in [
        ("http://example.org/v1", "https alone"),
        ("https://user:pw@example.org/v1", "into the environment"),
        ("ftp://example.org", "begins with https"),
        ("example", "write one such as"),
        ("https://example.org/v1?k=1", "leave `?`"),
    ] {
        let text = service(address).expect(address);
        assert!(text.contains(part) && !text.contains("pw") && !text.contains(KEY), "{text}");
    }
    assert_eq!(service("https://example.org/v1"), None);
    let odd = Service::new("https://example.org", Some("a\nb".to_owned()), limits()).err().unwrap();
    assert!(matches!(odd, HttpError::Key));
}
