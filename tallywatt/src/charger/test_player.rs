//! The player against a small central system, one that misbehaves on demand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use ocpp::Frame;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        http::{self, HeaderValue, StatusCode},
    },
};

use super::{Pace, PlayOptions, PlayReport, Recording, Refused, play};

/// What the central system says to the text that comes, given how many came before it.
type Script = dyn Fn(usize, &str) -> Vec<Say> + Send + Sync;

enum Say {
    Text(String),
    Drop,
}

struct Central {
    url: String,
    /// Every text that came, over all connections.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Central {
    async fn start(script: impl Fn(usize, &str) -> Vec<Say> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, log.clone(), script.clone()));
            }
        });
        Self { url, heard }
    }

    /// Payloads of the calls of `action` that came.
    fn heard(&self, action: &str) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        let frames = heard.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
        frames.filter(|frame| frame[2] == action).map(|frame| frame[3].clone()).collect()
    }
}

async fn serve(stream: tokio::net::TcpStream, heard: Arc<Mutex<Vec<String>>>, script: Arc<Script>) {
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let negotiate = |request: &Request, mut response: Response| {
        assert_eq!(request.headers()["sec-websocket-protocol"], "ocpp1.6");
        // Base64 of `CP1:secret`.
        if request.headers()["authorization"] != "Basic Q1AxOnNlY3JldA==" {
            let mut refusal = http::Response::new(None);
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            return Err(refusal);
        }
        if !request.uri().path().ends_with("/ocpp-without-subprotocol/CP1") {
            let protocol = HeaderValue::from_static("ocpp1.6");
            response.headers_mut().insert("sec-websocket-protocol", protocol);
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, negotiate).await else { return };
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        let before = {
            let mut heard = heard.lock().unwrap();
            heard.push(text.to_string());
            heard.len() - 1
        };
        for say in script(before, &text) {
            match say {
                Say::Text(text) => socket.send(Message::text(text)).await.unwrap(),
                Say::Drop => return,
            }
        }
    }
}

/// What a central system answers to `text`; nothing to an answer.
fn right_answer(text: &str) -> Vec<Say> {
    let Ok(Frame::Call { id, action, .. }) = Frame::parse(text) else { return vec![] };
    let info = json!({ "status": "Accepted" });
    let payload = match action.as_str() {
        "BootNotification" => json!({
            "status": "Accepted", "interval": 300, "currentTime": "2026-03-10T16:00:00Z"
        }),
        "Authorize" | "StopTransaction" => json!({ "idTagInfo": info }),
        "StartTransaction" => json!({ "idTagInfo": info, "transactionId": 77 }),
        _ => json!({}),
    };
    vec![Say::Text(Frame::call_result(&id, &payload).to_string())]
}

fn recorded(case: &str) -> Recording {
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/ocpp");
    Recording::read(&cases.join(case)).unwrap()
}

fn options(central: &Central, recording: Recording) -> PlayOptions {
    let mut options = PlayOptions::new(&central.url, "CP1", "secret", recording);
    options.answer_max = Duration::from_millis(300);
    options.await_call_max = Duration::from_secs(5);
    options
}

async fn played(central: &Central, case: &str) -> PlayReport {
    play(options(central, recorded(case))).await.unwrap()
}

#[tokio::test]
async fn a_recording_is_played_with_the_number_it_was_given() {
    let central = Central::start(|_, text| right_answer(text)).await;
    let report = played(&central, "retail-time-of-use").await;
    assert!(report.ok(), "{report}");
    assert_eq!(report.transactions[0].transaction_id, 77);
    assert_eq!(central.heard("StopTransaction")[0]["transactionId"], 77);
    assert!(central.heard("MeterValues").iter().all(|values| values["transactionId"] == 77));
    assert_eq!(report.final_statuses[&1], "Available");
    assert_eq!((report.connections, report.retries), (1, 0));
}

#[tokio::test]
async fn a_number_nobody_was_given_stays_as_it_is_recorded() {
    let central = Central::start(|_, text| right_answer(text)).await;
    played(&central, "unknown-transaction").await;
    let ids: Vec<_> =
        central.heard("StopTransaction").iter().map(|s| s["transactionId"].clone()).collect();
    assert_eq!(ids, [-1, 0, 424_242]);
}

#[tokio::test]
async fn every_recording_plays() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../events/ocpp")).unwrap()
    {
        let case = entry.unwrap().file_name().into_string().unwrap();
        if case == "app-start" {
            continue;
        }
        let central = Central::start(|_, text| right_answer(text)).await;
        let report = played(&central, &case).await;
        assert!(report.ok(), "{case}: {report}");
    }
}

#[tokio::test]
async fn chargers_play_side_by_side() {
    let central = Central::start(|_, text| right_answer(text)).await;
    let start = |case| tokio::spawn(play(options(&central, recorded(case))));
    let (member, roaming) = (start("member"), start("roaming"));
    assert!(member.await.unwrap().unwrap().ok());
    assert!(roaming.await.unwrap().unwrap().ok());
}

#[tokio::test]
async fn a_call_whose_connection_drops_is_sent_again_over_a_new_one() {
    // The fifth text is lost with its connection, the ninth is answered and the answer lost.
    let central = Central::start(|before, text| match before {
        4 | 8 => vec![Say::Drop],
        _ => right_answer(text),
    })
    .await;
    let report = played(&central, "member").await;
    assert!(report.ok(), "{report}");
    assert_eq!((report.connections, report.retries), (3, 2));
    let heard = central.heard.lock().unwrap();
    assert_eq!(heard[4], heard[5], "the same frame, under the same message id");
}

#[tokio::test]
async fn a_failing_function_is_called_again() {
    let central = Central::start(|before, text| match before {
        2 => vec![Say::Text(r#"{"message": "Internal server error"}"#.into())],
        4 => {
            let frame = Frame::parse(text).unwrap();
            let code = ocpp::ErrorCode::InternalError;
            vec![Say::Text(Frame::call_error(frame.id(), code, "").to_string())]
        }
        // No answer at all.
        6 => vec![],
        _ => right_answer(text),
    })
    .await;
    let report = played(&central, "member").await;
    assert!(report.ok(), "{report}");
    assert_eq!((report.connections, report.retries), (1, 3));
}

#[tokio::test]
async fn every_call_can_be_made_three_times_and_must_get_the_same_answer() {
    let central = Central::start(|_, text| right_answer(text)).await;
    let mut three_times = options(&central, recorded("roaming"));
    three_times.repeat = 3;
    let report = play(three_times).await.unwrap();
    assert!(report.ok(), "{report}");
    assert_eq!(central.heard("StartTransaction").len(), 3);
    assert_eq!(report.transactions.len(), 1);

    let forgetful = Central::start(|before, text| {
        let answer = right_answer(text);
        let renumbered = move |say: Say| match say {
            Say::Text(text) => Say::Text(text.replace(":77}", &format!(":{before}}}"))),
            Say::Drop => Say::Drop,
        };
        answer.into_iter().map(renumbered).collect()
    })
    .await;
    let mut twice = options(&forgetful, recorded("roaming"));
    twice.repeat = 2;
    let report = play(twice).await.unwrap();
    assert_eq!(report.faults.len(), 1, "{report}");
}

#[tokio::test]
async fn a_start_from_the_app_uses_the_tag_it_gives() {
    a_start_from_the_app(Pace::Fast).await;
    // The call comes during the pause before the step that waits for it.
    a_start_from_the_app(Pace::Pause(Duration::from_millis(80))).await;
}

async fn a_start_from_the_app(pace: Pace) {
    let central = Central::start(|_, text| {
        let mut says = right_answer(text);
        let call = |id, action, payload: Value| Frame::call(id, action, &payload).to_string();
        if text.contains("Preparing") {
            let start = json!({ "connectorId": 1, "idTag": "ONETIME1" });
            says.push(Say::Text(call("s1", "RemoteStartTransaction", start)));
        }
        if text.contains("\"MeterValues\"") && text.contains("157200") {
            let stop = json!({ "transactionId": 77 });
            // Twice, as a queue may deliver it.
            says.push(Say::Text(call("s2", "RemoteStopTransaction", stop.clone())));
            says.push(Say::Text(call("s2", "RemoteStopTransaction", stop)));
        }
        says
    })
    .await;
    let mut options = options(&central, recorded("app-start"));
    options.pace = pace;
    let report = play(options).await.unwrap();
    assert!(report.ok(), "{report}");
    assert_eq!(central.heard("StartTransaction")[0]["idTag"], "ONETIME1");
    assert_eq!(central.heard("StopTransaction").len(), 1);
    let heard = central.heard.lock().unwrap();
    let accepted = |id: &str| format!(r#"[3,"{id}",{{"status":"Accepted"}}]"#);
    assert_eq!(heard.iter().filter(|text| **text == accepted("s1")).count(), 1);
    assert_eq!(heard.iter().filter(|text| **text == accepted("s2")).count(), 2);
}

#[tokio::test]
async fn a_stop_from_afar_ends_the_session_at_its_last_reading() {
    let central = Central::start(|_, text| {
        let mut says = right_answer(text);
        if text.contains("MeterValues") && text.contains("733150") {
            let stop = json!({ "transactionId": 77 });
            let call = Frame::call("r1", "RemoteStopTransaction", &stop).to_string();
            // Before the answer to MeterValues: it is there when the next call is due.
            says.insert(0, Say::Text(call));
        }
        says
    })
    .await;
    let report = played(&central, "member").await;
    assert!(report.ok(), "{report}");
    assert!(report.transactions[0].stopped_early);
    let stop = central.heard("StopTransaction").remove(0);
    assert_eq!(stop["meterStop"], 733_150);
    assert_eq!(stop["timestamp"], "2026-05-20T06:15:00Z");
    assert_eq!(stop["reason"], "Remote");
    assert_eq!(central.heard("MeterValues").len(), 3);
}

#[tokio::test]
async fn a_stop_for_another_transaction_and_a_start_nobody_waits_for_are_rejected() {
    let central = Central::start(|before, text| {
        let mut says = right_answer(text);
        if before == 6 {
            let stop = json!({ "transactionId": 78 });
            let start = json!({ "idTag": "X" });
            for call in [
                Frame::call("r1", "RemoteStopTransaction", &stop),
                Frame::call("r2", "RemoteStartTransaction", &start),
                Frame::call("r3", "Reset", &json!({ "type": "Hard" })),
            ] {
                says.insert(0, Say::Text(call.to_string()));
            }
        }
        says
    })
    .await;
    played(&central, "member").await;
    let heard = central.heard.lock().unwrap();
    for answer in [r#"[3,"r1",{"status":"Rejected"}]"#, r#"[3,"r2",{"status":"Rejected"}]"#] {
        assert!(heard.iter().any(|text| text == answer), "{answer}");
    }
    assert!(heard.iter().any(|text| text.starts_with(r#"[4,"r3","NotImplemented""#)));
}

#[tokio::test]
async fn a_start_that_is_not_authorized_is_stopped_at_once() {
    let central = Central::start(|_, text| {
        let mut says = right_answer(text);
        if text.contains("\"StartTransaction\"")
            && let Some(Say::Text(answer)) = says.first_mut()
        {
            *answer = answer.replace("Accepted", "Blocked");
        }
        says
    })
    .await;
    let report = played(&central, "member").await;
    assert_eq!(report.transactions[0].status, "Blocked");
    let stop = central.heard("StopTransaction").remove(0);
    assert_eq!((&stop["reason"], &stop["meterStop"]), (&json!("DeAuthorized"), &json!(730_450)));
    assert_eq!(central.heard("MeterValues").len(), 0);
}

#[tokio::test]
async fn a_tag_that_may_not_charge_ends_the_play() {
    let central = Central::start(|_, text| {
        let mut says = right_answer(text);
        if text.contains("\"Authorize\"")
            && let Some(Say::Text(answer)) = says.first_mut()
        {
            *answer = answer.replace("Accepted", "Invalid");
        }
        says
    })
    .await;
    let report = played(&central, "member").await;
    assert_eq!(report.ended_early.as_deref(), Some("Authorize: Invalid"));
    assert_eq!(central.heard("StartTransaction").len(), 0);
}

#[tokio::test]
async fn a_recorded_reconnect_opens_a_new_connection() {
    let central = Central::start(|_, text| right_answer(text)).await;
    let report = played(&central, "reconnect").await;
    assert_eq!((report.connections, report.retries), (3, 0));
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_tried_again() {
    let central = Central::start(|_, text| right_answer(text)).await;
    let mut wrong = options(&central, recorded("member"));
    wrong.password = "guess".into();
    let error = play(wrong).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Refused::Status(401)));
    assert!(!format!("{error:#}").contains("guess"));
}

#[tokio::test]
async fn a_central_system_without_the_subprotocol_is_refused() {
    let mut central = Central::start(|_, text| right_answer(text)).await;
    central.url = central.url.replace("/ocpp", "/ocpp-without-subprotocol");
    let error = play(options(&central, recorded("member"))).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Refused::NoSubprotocol));
}

#[tokio::test]
async fn an_address_that_is_none_is_told_at_once() {
    for url in ["not a url", "http://127.0.0.1:1/ocpp", "ocpp"] {
        let start = std::time::Instant::now();
        assert!(play(PlayOptions::new(url, "CP1", "secret", recorded("member"))).await.is_err());
        assert!(start.elapsed() < Duration::from_millis(90), "{url}");
    }
}

#[test]
fn a_broken_recording_is_named_with_its_line() {
    let text = "{\"at\":\"2026-03-10T16:40:00Z\",\"reconnect\":true}\n{\"at\":\"now\"}";
    let error = format!("{:#}", Recording::parse("case", text).unwrap_err());
    assert!(error.starts_with("case, line 2:"), "{error}");
    assert!(Recording::parse("empty", "\n").is_err());
}
