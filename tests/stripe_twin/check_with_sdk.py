"""Checks the Stripe twin with Stripe's own Python SDK, so that it does not merely agree with our client.

    python check_with_sdk.py http://127.0.0.1:12111 [sk_test_tallywatt]

Prints a line per check and exits 1 if one fails. It moves the twin's clock: give it a twin of its own.
"""

import base64
import http.server
import json
import queue
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

import stripe

BASE = sys.argv[1].rstrip("/")
KEY = sys.argv[2] if len(sys.argv) > 2 else "sk_test_tallywatt"
WEBHOOK_SECRET = "whsec_check"
RUN = f"{time.time_ns()}"

client = stripe.StripeClient(KEY, base_addresses={"api": BASE}, max_network_retries=0)
v1 = client.v1
CHECKS = []


def check(function):
    """Registers a check; its name is the sentence it proves."""
    CHECKS.append(function)
    return function


def control(path, body, method="POST"):
    """Calls the twin's control API."""
    data = json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{BASE}/_twin/{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def raises(kind, function, *args, **kwargs):
    """The error of type `kind` that the call raises."""
    try:
        result = function(*args, **kwargs)
    except stripe.StripeError as error:
        assert isinstance(error, kind), f"{type(error).__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {result}")


def saved_card(token="pm_card_visa"):
    """A customer with a card."""
    customer = v1.customers.create({"email": "driver@example.com", "metadata": {"driver_id": "d1"}})
    card = v1.payment_methods.attach(token, {"customer": customer.id})
    return customer.id, card.id


def off_session(token="pm_card_visa", **more):
    """Parameters of a PaymentIntent on a saved card."""
    customer, card = saved_card(token)
    return {
        "amount": 5000,
        "currency": "eur",
        "customer": customer,
        "payment_method": card,
        "payment_method_types": ["card"],
        "confirm": True,
        "off_session": True,
        **more,
    }


def hold(**more):
    """A PaymentIntent that holds 50.00 EUR."""
    return v1.payment_intents.create(off_session(capture_method="manual", **more))


@check
def a_hold_is_captured_in_part_once():
    intent = hold(metadata={"session_id": "s1"}, expand=["latest_charge"])
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 5000, 0)
    assert intent.metadata["session_id"] == "s1"
    capture_before = intent.latest_charge.payment_method_details.card.capture_before
    days = (capture_before - intent.created) / 86400
    assert days == 4.75, f"Visa, merchant-initiated: 4 days 18 hours, not {days}"
    intent = v1.payment_intents.capture(intent.id, {"amount_to_capture": 1234})
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("succeeded", 0, 1234)
    charge = v1.charges.retrieve(intent.latest_charge)
    assert (charge.captured, charge.amount, charge.amount_captured) == (True, 5000, 1234)
    error = raises(stripe.InvalidRequestError, v1.payment_intents.capture, intent.id)
    assert error.code == "payment_intent_unexpected_state"
    assert error.error.payment_intent.status == "succeeded"


@check
def amounts_have_limits():
    intent = hold()
    error = raises(stripe.InvalidRequestError, v1.payment_intents.capture, intent.id, {"amount_to_capture": 5001})
    assert error.code == "amount_too_large"
    error = raises(stripe.InvalidRequestError, v1.payment_intents.capture, intent.id, {"amount_to_capture": 49})
    assert error.code == "amount_too_small"
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, off_session(amount=49))
    assert (error.code, error.param) == ("amount_too_small", "amount")


@check
def a_canceled_intent_stays_canceled():
    intent = v1.payment_intents.cancel(hold().id, {"cancellation_reason": "abandoned"})
    assert (intent.status, intent.cancellation_reason, intent.amount_capturable) == ("canceled", "abandoned", 0)
    assert v1.charges.retrieve(intent.latest_charge).refunded
    for call in (v1.payment_intents.capture, v1.payment_intents.cancel):
        error = raises(stripe.InvalidRequestError, call, intent.id)
        assert error.code == "payment_intent_unexpected_state"


@check
def unknown_and_missing_parameters_are_refused():
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, off_session(colour="red"))
    assert (error.code, error.param, error.http_status) == ("parameter_unknown", "colour", 400)
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, {"currency": "eur"})
    assert (error.code, error.param) == ("parameter_missing", "amount")
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, off_session(amount="10.50"))
    assert error.code == "parameter_invalid_integer"
    error = raises(stripe.InvalidRequestError, v1.payment_intents.retrieve, "pi_none")
    assert (error.code, error.http_status) == ("resource_missing", 404)
    error = raises(
        stripe.InvalidRequestError,
        v1.payment_intents.create,
        {"amount": 5000, "currency": "eur", "off_session": True},
    )
    assert error.param == "confirm"


@check
def a_key_is_needed():
    stranger = stripe.StripeClient("sk_test_wrong", base_addresses={"api": BASE}, max_network_retries=0)
    error = raises(stripe.AuthenticationError, stranger.v1.customers.create, {})
    assert error.http_status == 401
    # Basic authentication with the key as the user, as curl -u does.
    request = urllib.request.Request(f"{BASE}/v1/payment_intents")
    request.add_header("authorization", "Basic " + base64.b64encode(f"{KEY}:".encode()).decode())
    assert urllib.request.urlopen(request).status == 200


@check
def an_idempotency_key_makes_a_write_happen_once():
    options = {"idempotency_key": f"{RUN}/once"}
    asked = off_session(capture_method="manual")
    first = v1.payment_intents.create(asked, options)
    again = v1.payment_intents.create(asked, options)
    assert first.id == again.id
    assert "Idempotent-Replayed" not in headers(first)
    assert headers(again)["Idempotent-Replayed"] == "true"
    error = raises(stripe.IdempotencyError, v1.payment_intents.create, {**asked, "amount": 6000}, options)
    assert error.http_status == 400
    control("clock", {"advance_s": 24 * 3600 + 1})
    assert v1.payment_intents.create(asked, options).id != first.id, "the key lives on after 24 hours"


def headers(answer):
    """Response headers by their usual names."""
    return {name.title(): value for name, value in answer.last_response.headers.items()}


@check
def a_decline_is_replayed_and_a_validation_error_is_not():
    options = {"idempotency_key": f"{RUN}/declined"}
    asked = off_session("pm_card_chargeCustomerFail")
    first = raises(stripe.CardError, v1.payment_intents.create, asked, options)
    again = raises(stripe.CardError, v1.payment_intents.create, asked, options)
    assert first.error.payment_intent.id == again.error.payment_intent.id
    options = {"idempotency_key": f"{RUN}/corrected"}
    raises(stripe.InvalidRequestError, v1.payment_intents.create, {"currency": "eur"}, options)
    v1.payment_intents.create({"amount": 5000, "currency": "eur"}, options)


@check
def a_server_error_is_replayed():
    control("faults", {"kind": "server_error_after_write", "next": 1, "path": "/v1/payment_intents"})
    options = {"idempotency_key": f"{RUN}/broken"}
    asked = off_session(metadata={"broken": RUN})
    for _ in range(2):
        error = raises(stripe.APIError, v1.payment_intents.create, asked, options)
        assert error.http_status == 500
    mine = v1.payment_intents.list({"customer": asked["customer"]}).data
    assert [intent.metadata["broken"] for intent in mine] == [RUN], "done once, though it was not told"


@check
def a_key_in_use_conflicts():
    control("faults", {"kind": "slow", "slow_ms": 1000, "next": 1, "path": "/v1/customers"})
    options = {"idempotency_key": f"{RUN}/slow"}
    slow = threading.Thread(target=v1.customers.create, args=({}, options))
    slow.start()
    time.sleep(0.3)
    error = raises(stripe.StripeError, v1.customers.create, {}, options)
    slow.join()
    assert (error.http_status, error.json_body["error"]["code"]) == (409, "idempotency_key_in_use")
    assert headers(v1.customers.create({}, options))["Idempotent-Replayed"] == "true"


@check
def work_goes_on_when_its_client_does_not_wait():
    control("faults", {"kind": "slow", "slow_ms": 1000, "next": 1, "path": "/v1/customers"})
    key = f"{RUN}/impatient"
    impatient = urllib.request.Request(f"{BASE}/v1/customers", data=b"", method="POST", headers={
        "Authorization": f"Bearer {KEY}", "Idempotency-Key": key})
    before = state()["customers"]
    try:
        urllib.request.urlopen(impatient, timeout=0.3)
        raise AssertionError("it was not slow")
    except TimeoutError:
        pass
    time.sleep(1.2)
    assert state()["customers"] == before + 1
    again = v1.customers.create({}, {"idempotency_key": key})
    assert headers(again)["Idempotent-Replayed"] == "true", "the key is not in use for ever"


@check
def a_request_that_hangs_is_done_all_the_same():
    control("faults", {"kind": "hang", "next": 1, "path": "/v1/customers"})
    key = f"{RUN}/hang"
    hanging = urllib.request.Request(f"{BASE}/v1/customers", data=b"", method="POST", headers={
        "Authorization": f"Bearer {KEY}", "Idempotency-Key": key})
    before = state()["customers"]
    try:
        urllib.request.urlopen(hanging, timeout=1)
        raise AssertionError("it was answered")
    except TimeoutError:
        pass
    assert state()["customers"] == before + 1
    assert headers(v1.customers.create({}, {"idempotency_key": key}))["Idempotent-Replayed"] == "true"


@check
def a_request_can_be_rejected_in_words_only():
    control("faults", {"kind": "rejected", "next": 1, "path": "/v1/customers"})
    options = {"idempotency_key": f"{RUN}/rejected"}
    error = raises(stripe.InvalidRequestError, v1.customers.create, {}, options)
    assert (error.http_status, error.code, error.param) == (400, None, None)
    assert "Idempotent-Replayed" not in headers(v1.customers.create({}, options))


@check
def a_card_that_was_detached_is_refused_in_words_only():
    asked = off_session()
    v1.payment_methods.detach(asked["payment_method"])
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, asked)
    assert (error.code, error.param) == (None, None)
    assert "may not be used again" in str(error)


@check
def amounts_come_in_the_steps_of_their_currency():
    for currency, fraction, whole in (("isk", 12345, 12300), ("ugx", 100_050, 100_000), ("kwd", 5124, 5120)):
        asked = off_session(currency=currency, amount=fraction)
        error = raises(stripe.InvalidRequestError, v1.payment_intents.create, asked)
        assert error.param == "amount", currency
        intent = v1.payment_intents.create({**asked, "amount": whole})
        assert intent.amount_received == whole
        asked = {"payment_intent": intent.id, "amount": 105}
        assert raises(stripe.InvalidRequestError, v1.refunds.create, asked).param == "amount"
        assert v1.refunds.create({**asked, "amount": 100}).amount == 100
    for currency in ("jpy", "huf", "twd"):
        assert v1.payment_intents.create(off_session(currency=currency, amount=80_045)).status == "succeeded"


@check
def the_sdk_survives_faults_by_its_own_retries():
    patient = stripe.StripeClient(KEY, base_addresses={"api": BASE}, max_network_retries=4)
    for kind in ("rate_limit", "lock_timeout", "reset_before", "reset_after"):
        control("faults", {"kind": kind, "next": 1, "path": "/v1/customers"})
        before = state()["customers"]
        patient.v1.customers.create({})
        assert state()["customers"] == before + 1, kind
    control("faults", {"kind": "bad_gateway", "next": 1, "path": "/v1/customers"})
    raises(stripe.APIError, v1.customers.create, {})


def state():
    """Everything the twin knows."""
    with urllib.request.urlopen(f"{BASE}/_twin/state") as answer:
        return json.load(answer)


@check
def cards_decline_by_stripes_test_tokens():
    customer = v1.customers.create({})
    error = raises(
        stripe.CardError,
        v1.payment_methods.attach,
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        {"customer": customer.id},
    )
    assert (error.code, error.error.decline_code) == ("card_declined", "insufficient_funds")
    error = raises(stripe.CardError, v1.payment_intents.create, off_session("pm_card_chargeCustomerFail"))
    assert (error.http_status, error.code, error.error.decline_code) == (402, "card_declined", "generic_decline")
    intent = v1.payment_intents.retrieve(error.error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.code == "card_declined"
    assert v1.charges.retrieve(intent.latest_charge).status == "failed"


@check
def a_card_may_want_its_owner():
    error = raises(stripe.CardError, v1.payment_intents.create, off_session("pm_card_authenticationRequired"))
    assert (error.code, error.error.decline_code) == ("authentication_required", "authentication_required")
    customer, card = saved_card("pm_card_authenticationRequiredOnSetup")
    asked = {
        "amount": 5000,
        "currency": "eur",
        "customer": customer,
        "payment_method": card,
        "payment_method_types": ["card"],
        "confirm": True,
        "setup_future_usage": "off_session",
    }
    intent = v1.payment_intents.create(asked)
    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")
    control(f"payment_intents/{intent.id}/authenticate", {})
    assert v1.payment_intents.retrieve(intent.id).status == "succeeded"
    later = {**asked, "off_session": True}
    del later["setup_future_usage"]
    assert v1.payment_intents.create(later).status == "succeeded", "it was set up for this"


@check
def an_issuer_can_be_told_to_refuse_the_difference():
    asked = off_session()
    rule = {"payment_method": asked["payment_method"], "capture_method": "automatic", "code": "card_declined"}
    control("declines", {**rule, "decline_code": "insufficient_funds"})
    assert v1.payment_intents.create({**asked, "capture_method": "manual"}).status == "requires_capture"
    error = raises(stripe.CardError, v1.payment_intents.create, asked)
    assert error.error.decline_code == "insufficient_funds"


@check
def a_saved_card_serves_its_customer_only():
    asked = off_session()
    stranger = v1.customers.create({})
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, {**asked, "customer": stranger.id})
    assert error.param == "payment_method"
    cards = v1.customers.payment_methods.list(asked["customer"]).data
    assert [card.id for card in cards] == [asked["payment_method"]]


@check
def a_redirecting_method_needs_an_address():
    asked = {"amount": 5000, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    error = raises(stripe.InvalidRequestError, v1.payment_intents.create, asked)
    assert error.param == "return_url"
    stays = {"enabled": True, "allow_redirects": "never"}
    intent = v1.payment_intents.create({**asked, "automatic_payment_methods": stays})
    assert intent.status == "succeeded"


@check
def an_intent_can_be_confirmed_later():
    customer, card = saved_card()
    intent = v1.payment_intents.create({"amount": 5000, "currency": "eur", "customer": customer})
    assert intent.status == "requires_payment_method"
    intent = v1.payment_intents.confirm(intent.id, {"payment_method": card, "return_url": "https://example.com"})
    assert intent.status == "succeeded"


@check
def a_hold_runs_out():
    intent = hold()
    control("clock", {"advance_s": 5 * 24 * 3600})
    intent = v1.payment_intents.retrieve(intent.id)
    assert (intent.status, intent.cancellation_reason) == ("canceled", "automatic")
    error = raises(stripe.InvalidRequestError, v1.payment_intents.capture, intent.id)
    assert error.code == "payment_intent_unexpected_state"


@check
def lists_are_paged_newest_first():
    asked = off_session()
    made = [v1.payment_intents.create(asked).id for _ in range(5)]
    pages = v1.payment_intents.list({"customer": asked["customer"], "limit": 2})
    assert (len(pages.data), pages.has_more) == (2, True)
    assert [intent.id for intent in pages.auto_paging_iter()] == made[::-1]


@check
def a_membership_renews_lapses_and_ends():
    customer, card = saved_card()
    product = v1.products.create({"name": "Gold"})
    price = v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 990, "recurring": {"interval": "month"}}
    )
    asked = {"customer": customer, "default_payment_method": card, "items": [{"price": price.id}]}
    subscription = v1.subscriptions.create(asked)
    assert subscription.status == "active"
    first_end = subscription["items"]["data"][0].current_period_end
    control("clock", {"advance_s": 31 * 24 * 3600})
    subscription = v1.subscriptions.retrieve(subscription.id)
    assert subscription["items"]["data"][0].current_period_end > first_end
    control("declines", {"payment_method": card, "code": "card_declined", "decline_code": "expired_card"})
    control("clock", {"advance_s": 31 * 24 * 3600})
    assert v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert v1.subscriptions.cancel(subscription.id).status == "canceled"
    leaving = v1.subscriptions.create({**asked, "default_payment_method": saved_card()[1], "trial_period_days": 7})
    assert leaving.status == "trialing"
    leaving = v1.subscriptions.update(leaving.id, {"cancel_at_period_end": True})
    assert leaving.cancel_at_period_end
    control("clock", {"advance_s": 8 * 24 * 3600})
    assert v1.subscriptions.retrieve(leaving.id).status == "canceled"


@check
def what_was_captured_can_be_refunded_and_no_more():
    intent = v1.payment_intents.capture(hold().id, {"amount_to_capture": 2000})
    first = v1.refunds.create({"payment_intent": intent.id, "amount": 700, "reason": "requested_by_customer"})
    assert (first.status, first.amount, first.charge) == ("succeeded", 700, intent.latest_charge)
    error = raises(stripe.InvalidRequestError, v1.refunds.create, {"charge": intent.latest_charge, "amount": 1301})
    assert error.param == "amount"
    v1.refunds.create({"charge": intent.latest_charge})
    charge = v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (2000, True)
    error = raises(stripe.InvalidRequestError, v1.refunds.create, {"charge": intent.latest_charge})
    assert error.code == "charge_already_refunded"
    assert len(v1.refunds.list({"payment_intent": intent.id}).data) == 2
    raises(stripe.InvalidRequestError, v1.refunds.create, {"payment_intent": hold().id})


@check
def a_refund_may_come_late_or_fail():
    late = v1.payment_intents.create(off_session("pm_card_pendingRefund"))
    failing = v1.payment_intents.create(off_session("pm_card_refundFail"))
    refunds = [v1.refunds.create({"payment_intent": intent.id}) for intent in (late, failing)]
    assert [refund.status for refund in refunds] == ["pending", "succeeded"]
    control("clock", {"advance_s": 7200})
    refunds = [v1.refunds.retrieve(refund.id) for refund in refunds]
    assert [refund.status for refund in refunds] == ["succeeded", "failed"]
    assert v1.charges.retrieve(failing.latest_charge).amount_refunded == 0


@check
def a_dispute_is_won_with_evidence_and_lost_by_silence():
    won, lost, silent = (v1.payment_intents.create(off_session("pm_card_createDispute")) for _ in range(3))
    disputes = [v1.disputes.list({"payment_intent": intent.id}).data[0] for intent in (won, lost, silent)]
    assert {dispute.status for dispute in disputes} == {"needs_response"}
    assert disputes[0].balance_transactions[0].net == -5000 - 1500
    error = raises(stripe.InvalidRequestError, v1.refunds.create, {"payment_intent": won.id})
    assert error.code == "charge_disputed"
    draft = {"evidence": {"product_description": "18 kWh", "access_activity_log": "..."}, "submit": False}
    assert v1.disputes.update(disputes[0].id, draft).status == "needs_response"
    winning = v1.disputes.update(disputes[0].id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert (winning.status, winning.evidence.product_description) == ("won", "18 kWh")
    assert sum(moved.amount for moved in winning.balance_transactions) == 0
    losing = v1.disputes.update(disputes[1].id, {"evidence": {"uncategorized_text": "losing_evidence"}})
    assert losing.status == "lost"
    raises(stripe.InvalidRequestError, v1.disputes.update, losing.id, {"evidence": {"service_date": "today"}})
    control("clock", {"advance_s": 10 * 24 * 3600})
    assert v1.disputes.retrieve(disputes[2].id).status == "lost"


@check
def an_inquiry_moves_no_money():
    intent = v1.payment_intents.create(off_session("pm_card_createDisputeInquiry"))
    inquiry = v1.disputes.list({"charge": intent.latest_charge}).data[0]
    assert (inquiry.status, inquiry.balance_transactions) == ("warning_needs_response", [])
    assert v1.disputes.close(inquiry.id).status == "warning_closed"


@check
def an_issuer_decides_when_it_likes():
    intent = v1.payment_intents.create(off_session())
    control("disputes", {"charge": intent.latest_charge, "reason": "product_not_received"})
    dispute = v1.disputes.list({"payment_intent": intent.id}).data[0]
    dispute = v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "the meter says so"}})
    assert dispute.status == "under_review"
    control(f"disputes/{dispute.id}/decide", {"won": True})
    assert v1.disputes.retrieve(dispute.id).status == "won"


@check
def a_hold_is_raised_where_card_and_pricing_allow():
    options = {"request_incremental_authorization": "if_available", "request_overcapture": "if_available"}
    asked = {"payment_method_options": {"card": options}, "expand": ["latest_charge"]}
    intent = hold(**asked)
    assert intent.latest_charge.payment_method_details.card.incremental_authorization.status == "unavailable"
    raises(stripe.InvalidRequestError, v1.payment_intents.increment_authorization, intent.id, {"amount": 6000})
    control("account", {"ic_plus": True})
    intent = hold(**asked)
    card = intent.latest_charge.payment_method_details.card
    assert (card.incremental_authorization.status, card.overcapture.status) == ("available", "available")
    intent = v1.payment_intents.increment_authorization(intent.id, {"amount": 6000})
    assert (intent.amount, intent.amount_capturable) == (6000, 6000)
    raises(stripe.InvalidRequestError, v1.payment_intents.increment_authorization, intent.id, {"amount": 6000})
    control("declines", {"payment_method": intent.payment_method, "above": 6500, "code": "card_declined"})
    error = raises(stripe.CardError, v1.payment_intents.increment_authorization, intent.id, {"amount": 7000})
    assert error.code == "card_declined"
    assert v1.payment_intents.retrieve(intent.id).amount_capturable == 6000
    for step in range(1, 9):
        v1.payment_intents.increment_authorization(intent.id, {"amount": 6000 + step})
    error = raises(
        stripe.InvalidRequestError, v1.payment_intents.increment_authorization, intent.id, {"amount": 6100}
    )
    assert "10 times" in str(error)
    error = raises(stripe.InvalidRequestError, v1.payment_intents.capture, intent.id, {"amount_to_capture": 6910})
    assert error.code == "amount_too_large"
    assert v1.payment_intents.capture(intent.id, {"amount_to_capture": 6909}).amount_received == 6909
    control("account", {"ic_plus": False})


@check
def a_card_is_saved_without_a_payment():
    customer = v1.customers.create({})
    asked = {"customer": customer.id, "payment_method_types": ["card"], "usage": "off_session"}
    intent = v1.setup_intents.create(asked)
    assert intent.status == "requires_payment_method"
    intent = v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_authenticationRequiredOnSetup"})
    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")
    control(f"setup_intents/{intent.id}/authenticate", {})
    intent = v1.setup_intents.retrieve(intent.id)
    assert intent.status == "succeeded"
    later = {**off_session(), "customer": customer.id, "payment_method": intent.payment_method}
    assert v1.payment_intents.create(later).status == "succeeded", "it was set up for this"
    declined = {**asked, "payment_method": "pm_card_visa_chargeDeclined", "confirm": True}
    assert raises(stripe.CardError, v1.setup_intents.create, declined).code == "card_declined"


@check
def a_reader_takes_a_card():
    address = {"line1": "Strawinskylaan 1", "city": "Amsterdam", "country": "NL", "postal_code": "1077 XW"}
    location = v1.terminal.locations.create({"display_name": "AMS-01", "address": address})
    asked = {"registration_code": "simulated-wpe", "label": "bay 1", "location": location.id}
    reader = v1.terminal.readers.create(asked)
    options = {"card_present": {"request_incremental_authorization_support": True}}
    asked = {
        "amount": 5000,
        "currency": "eur",
        "capture_method": "manual",
        "payment_method_types": ["card_present"],
        "payment_method_options": options,
    }
    replaced = v1.payment_intents.create(asked)
    v1.terminal.readers.process_payment_intent(reader.id, {"payment_intent": replaced.id})
    intent = v1.payment_intents.create(asked)
    reader = v1.terminal.readers.process_payment_intent(reader.id, {"payment_intent": intent.id})
    assert reader.action.status == "in_progress"
    assert reader.action.process_payment_intent.payment_intent == intent.id
    present = v1.test_helpers.terminal.readers.present_payment_method
    assert present(reader.id).action.status == "succeeded"
    intent = v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert intent.status == "requires_capture"
    assert intent.latest_charge.payment_method_details.card_present.incremental_authorization_supported
    error = raises(
        stripe.InvalidRequestError,
        v1.terminal.readers.process_payment_intent,
        reader.id,
        {"payment_intent": intent.id},
    )
    assert error.code == "intent_invalid_state"
    assert v1.payment_intents.increment_authorization(intent.id, {"amount": 6000}).amount_capturable == 6000
    intent = v1.payment_intents.create(asked)
    v1.terminal.readers.process_payment_intent(reader.id, {"payment_intent": intent.id})
    # Whoever holds a card to the reader is hit by no fault; the next request is.
    control("faults", {"kind": "rate_limit", "next": 1})
    reader = present(reader.id, {"type": "card_present", "card_present": {"number": "4000000000009995"}})
    raises(stripe.RateLimitError, v1.terminal.readers.retrieve, reader.id)
    assert (reader.action.status, reader.action.failure_code) == ("failed", "insufficient_funds")
    v1.terminal.readers.process_payment_intent(reader.id, {"payment_intent": intent.id})
    assert v1.terminal.readers.cancel_action(reader.id).action is None


@check
def a_debt_is_paid_on_a_page():
    price = {"currency": "eur", "unit_amount": 1234, "product_data": {"name": "Charging session"}}
    asked = {
        "mode": "payment",
        "success_url": "https://example.com/paid",
        "client_reference_id": "s1",
        "line_items": [{"price_data": price, "quantity": 1}],
        "payment_intent_data": {"metadata": {"session_id": "s1"}},
    }
    page = v1.checkout.sessions.create(asked)
    assert (page.status, page.payment_status, page.amount_total) == ("open", "unpaid", 1234)
    assert page.url
    control(f"checkout/sessions/{page.id}/pay", {"card": "pm_card_visa"})
    page = v1.checkout.sessions.retrieve(page.id)
    assert (page.status, page.payment_status, page.url) == ("complete", "paid", None)
    intent = v1.payment_intents.retrieve(page.payment_intent)
    assert (intent.amount_received, intent.metadata["session_id"]) == (1234, "s1")
    late = v1.checkout.sessions.create(asked)
    control("clock", {"advance_s": 25 * 3600})
    assert v1.checkout.sessions.retrieve(late.id).status == "expired"


@check
def a_failed_renewal_is_tried_again_and_recovers_or_ends():
    product = v1.products.create({"name": "Silver"})
    price = v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 990, "recurring": {"interval": "month"}}
    )

    def subscribe():
        customer, card = saved_card()
        asked = {"customer": customer, "default_payment_method": card, "items": [{"price": price.id}]}
        return card, v1.subscriptions.create(asked)

    kept, paid, ended = subscribe(), subscribe(), subscribe()
    for card, _ in (kept, paid, ended):
        control("declines", {"payment_method": card, "code": "card_declined"})
    control("clock", {"advance_s": 30 * 24 * 3600 + 1})
    assert v1.subscriptions.retrieve(kept[1].id).status == "past_due"
    invoice = v1.invoices.list({"subscription": paid[1].id, "status": "open"}).data[0]
    raises(stripe.CardError, v1.invoices.pay, invoice.id)
    control("declines", {}, "DELETE")
    assert v1.invoices.pay(invoice.id).status == "paid"
    assert v1.subscriptions.retrieve(paid[1].id).status == "active"
    control("declines", {"payment_method": ended[0], "code": "card_declined"})
    control("clock", {"advance_s": 16 * 24 * 3600})
    assert v1.subscriptions.retrieve(kept[1].id).status == "active"
    assert v1.subscriptions.retrieve(ended[1].id).status == "canceled"
    everything = v1.subscriptions.list({"status": "all", "limit": 100}).data
    assert {kept[1].id, ended[1].id} <= {subscription.id for subscription in everything}
    paused = v1.subscriptions.update(kept[1].id, {"pause_collection": {"behavior": "void"}})
    assert paused.pause_collection.behavior == "void"
    assert v1.subscriptions.update(kept[1].id, {"pause_collection": ""}).pause_collection is None


@check
def a_payout_is_the_sum_of_what_it_pays_out():
    v1.payment_intents.create(off_session())
    control("clock", {"advance_s": 4 * 24 * 3600})
    payout = v1.payouts.list({"limit": 1}).data[0]
    parts = list(v1.balance_transactions.list({"payout": payout.id, "limit": 100}).auto_paging_iter())
    assert sum(part.net for part in parts if part.type != "payout") == payout.amount
    charges = [part for part in parts if part.type == "charge"]
    assert charges and all(part.fee > 0 for part in charges)


@check
def webhooks_are_signed_repeated_and_listed():
    received = queue.Queue()
    failures = iter([500, 500])

    class Receiver(http.server.BaseHTTPRequestHandler):
        """Fails twice, then keeps what it gets."""

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            status = next(failures, 200)
            if status == 200:
                received.put((body, self.headers["stripe-signature"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    wanted = ["payment_intent.amount_capturable_updated", "payment_intent.canceled"]
    endpoint = {"url": url, "secret": WEBHOOK_SECRET, "enabled_events": wanted, "duplicate_per_mille": 1000}
    control("webhook_endpoints", endpoint)
    intent = hold()
    v1.payment_intents.cancel(intent.id)
    events = [client.construct_event(*received.get(timeout=20), WEBHOOK_SECRET) for _ in range(4)]
    assert sorted(event.type for event in events) == sorted(wanted * 2)
    assert len({event.id for event in events}) == 2
    assert all(event.data.object.id == intent.id for event in events)
    assert v1.events.retrieve(events[0].id).type == events[0].type
    listed = v1.events.list({"types": wanted, "limit": 2}).data
    assert {event.id for event in listed} == {event.id for event in events}
    server.shutdown()


def main():
    """Runs every check."""
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok      {name}")
        except (AssertionError, stripe.StripeError, urllib.error.URLError, queue.Empty, AttributeError, KeyError):
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc()
        finally:
            control("faults", {}, "DELETE")
            control("declines", {}, "DELETE")
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed with stripe-python {stripe.VERSION}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
