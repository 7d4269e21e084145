//! Frames, broken and whole.

use proptest::prelude::*;

use crate::{
    CallRefusal, ErrorCode, Frame, FrameError, HeartbeatRequest, HeartbeatResponse,
    StartTransactionRequest, read_call,
};

fn reply_to(text: &str) -> Option<String> {
    Frame::parse(text).unwrap_err().reply().map(|frame| frame.to_string())
}

#[test]
fn a_call_is_read_and_written_as_it_was() {
    let text = r#"[2,"19223201","BootNotification",{"chargePointVendor":"VendorX"}]"#;
    let frame = Frame::parse(text).unwrap();
    assert_eq!(frame.to_string(), text);
    let Frame::Call { id, action, payload } = frame else { panic!("not a call") };
    assert_eq!((id.as_str(), action.as_str()), ("19223201", "BootNotification"));
    assert_eq!(payload.as_json(), r#"{"chargePointVendor":"VendorX"}"#);
}

#[test]
fn answers_are_read_and_written_as_they_were() {
    for text in [
        r#"[3,"19223201",{"status":"Accepted"}]"#,
        r#"[4,"162376037","NotSupported","SetDisplayMessageRequest not implemented",{}]"#,
    ] {
        assert_eq!(Frame::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_refusal_without_description_and_details_is_read_all_the_same() {
    let frame = Frame::parse(r#"[4,"7","InternalError"]"#).unwrap();
    assert_eq!(frame.to_string(), r#"[4,"7","InternalError","",{}]"#);
}

#[test]
fn an_error_code_we_do_not_know_keeps_its_text() {
    let Frame::CallError { code, .. } =
        Frame::parse(r#"[4,"7","OccurrenceConstraintViolation","",{}]"#).unwrap()
    else {
        panic!("not a refusal")
    };
    assert_eq!(code, ErrorCode::Other("OccurrenceConstraintViolation".into()));
}

#[test]
fn a_frame_that_is_not_json_is_a_formation_violation() {
    assert_eq!(
        reply_to("hello").unwrap(),
        r#"[4,"-1","FormationViolation","the frame is not JSON",{}]"#
    );
    assert_eq!(reply_to(""), reply_to("hello"));
    assert_eq!(
        reply_to(r#"{"a":1}"#).unwrap(),
        r#"[4,"-1","FormationViolation","the frame is not a JSON array",{}]"#
    );
}

#[test]
fn a_frame_that_was_cut_off_is_answered_under_its_own_id() {
    assert_eq!(
        reply_to(r#"[2,"42","StartTransaction",{"connectorId":1,"#).unwrap(),
        r#"[4,"42","FormationViolation","the frame is not JSON",{}]"#
    );
}

#[test]
fn a_call_that_ends_too_early_is_a_protocol_error() {
    let code = |text| Frame::parse(text).unwrap_err().reply().map(|frame| frame.to_string());
    assert_eq!(
        code(r#"[2,"42","Heartbeat"]"#).unwrap(),
        r#"[4,"42","ProtocolError","the call has no payload",{}]"#
    );
    assert_eq!(
        code(r#"[2,"42"]"#).unwrap(),
        r#"[4,"42","ProtocolError","the call has no action",{}]"#
    );
    assert_eq!(code("[2]").unwrap(), r#"[4,"-1","ProtocolError","the call has no message id",{}]"#);
    assert_eq!(
        code("[]").unwrap(),
        r#"[4,"-1","ProtocolError","the call has no message type",{}]"#
    );
}

#[test]
fn a_call_with_parts_of_the_wrong_kind_is_a_formation_violation() {
    for (text, id) in [
        (r#"[2,"42",7,{}]"#, "42"),
        (r#"[2,"42","Heartbeat",[]]"#, "42"),
        (r#"[2,"42","Heartbeat",null]"#, "42"),
        (r#"[2,null,"Heartbeat",{}]"#, "-1"),
    ] {
        let reply = reply_to(text).unwrap();
        assert!(reply.starts_with(&format!(r#"[4,"{id}","FormationViolation""#)), "{reply}");
    }
}

#[test]
fn an_unknown_message_type_and_a_broken_answer_are_not_answered() {
    assert_eq!(Frame::parse(r#"[9,"1",{}]"#).unwrap_err(), FrameError::UnknownMessageType);
    for text in [r#"[9,"1",{}]"#, r#"[3,"1"]"#, "[3]", r#"[4,"1"]"#, r#"[4,"1",2]"#] {
        assert_eq!(reply_to(text), None, "{text}");
    }
}

#[test]
fn a_message_id_sent_as_a_number_is_answered() {
    let call = read_call::<HeartbeatRequest>(r#"[2,1234,"Heartbeat",{}]"#).unwrap();
    let response = HeartbeatResponse { current_time: "2026-03-10T16:40:00Z".parse().unwrap() };
    assert_eq!(
        call.answer(&response).to_string(),
        r#"[3,"1234",{"currentTime":"2026-03-10T16:40:00.000Z"}]"#
    );
}

#[test]
fn a_call_of_another_action_is_not_taken_for_ours() {
    let refusal =
        read_call::<StartTransactionRequest>(r#"[2,"1","StopTransaction",{}]"#).unwrap_err();
    assert!(matches!(refusal, CallRefusal::OtherAction { .. }));
}

#[test]
fn a_long_description_is_cut_where_the_specification_ends_it() {
    let frame = Frame::call_error("1", ErrorCode::GenericError, &"é".repeat(300));
    let Frame::CallError { description, .. } = frame else { panic!("not a refusal") };
    assert_eq!(description.chars().count(), 255);
}

#[test]
fn a_deeply_nested_frame_is_refused_without_harm() {
    let deep = format!("[2,\"1\",\"DataTransfer\",{}", "[".repeat(100_000));
    assert!(matches!(Frame::parse(&deep), Err(FrameError::NotJson { .. })));
}

/// A part of a frame, or what is left of one.
const PART: &str = r#"(-?[0-9]{1,30}|"[a-zA-Z\\]*"|\{\}|null|\[\]|[{\["])"#;

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = Frame::parse(&text);
    }

    #[test]
    fn no_array_makes_the_parser_panic(
        parts in proptest::collection::vec(PART, 0..6)
    ) {
        let text = format!("[{}]", parts.join(","));
        if let Err(error) = Frame::parse(&text) {
            let _ = error.reply();
        }
    }

    /// Whatever we answer, a strict reader can read it.
    #[test]
    fn what_is_written_is_read_back(id in "\\PC{0,36}", description in "\\PC{0,300}") {
        let frame = Frame::call_error(&id, ErrorCode::GenericError, &description);
        let text = frame.to_string();
        prop_assert_eq!(Frame::parse(&text).unwrap().to_string(), text);
    }
}
