//! The whole system, running, asked from outside: chargers over OCPP, operators and drivers over
//! HTTP, Stripe by its twin, AWS by its own interfaces.
//!
//! `cargo test -p e2e -- <part of a name>` runs some of them. Nothing is skipped for want of a
//! tool: Python 3, Node and npm are needed, and what is missing is a failure.

mod after_sale;
mod budget;
mod clients;
mod command;
mod disturbed;
mod drivers;
mod harness;
mod holds;
mod membership;
mod payers;
mod payments;
mod pipeline;
mod plans;
mod receipts;
mod refusals;
mod sessions;
mod storm;
mod stripe;
mod taxes;
mod terminal;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use harness::Suite;
use libtest_mimic::{Arguments, Trial};

/// Makes a trial of each test: an async function of the suite.
macro_rules! trials {
    ($suite:expr; $($module:ident::$test:ident,)+) => {
        vec![$({
            let suite = Arc::clone($suite);
            let name = concat!(stringify!($module), "::", stringify!($test));
            Trial::test(name, move || suite.run($module::$test(&suite)))
        }),+]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = match Suite::new() {
        Ok(suite) => Arc::new(suite),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let trials = trials! { &suite;
        sessions::every_recorded_session_becomes_what_its_case_says,
        sessions::every_recorded_session_costs_what_was_worked_out_by_hand,
        sessions::every_party_agrees_when_all_are_through,
        budget::every_message_keeps_to_its_budget,
        clients::the_python_client_goes_through_a_session,
        clients::the_node_client_goes_through_a_session_in_strict_mode,
        refusals::a_charger_without_the_right_password_is_refused,
        refusals::malformed_frames_get_the_error_that_the_specification_names,
        refusals::an_oversized_frame_is_not_taken,
        refusals::a_request_without_a_good_token_is_refused,
        refusals::a_role_that_does_not_allow_it_is_refused,
        refusals::another_drivers_session_is_not_found,
        refusals::a_webhook_with_a_bad_signature_is_refused,
        pipeline::a_subscriber_that_failed_gets_its_event_again_and_the_others_do_not,
        pipeline::a_capture_that_stripe_cannot_make_waits_and_is_made_when_stripe_is_back,
        pipeline::what_is_no_event_ends_as_a_dead_letter_and_can_be_redriven,
        pipeline::a_person_bills_waives_and_dismisses_what_was_kept,
        pipeline::a_refused_hold_stops_the_session_which_says_why,
        pipeline::a_membership_that_ends_at_stripe_ends_here,
        pipeline::a_session_is_priced_when_the_connector_is_free,
        pipeline::a_connector_that_is_never_free_is_a_persons_to_decide,
        pipeline::a_second_charge_that_is_refused_is_owed,
        pipeline::what_nobody_pays_for_and_what_contradicts_itself_is_kept_for_a_person,
        payments::what_the_bank_wants_confirmed_is_owed_paid_on_a_page_and_cleared,
        payments::without_its_hold_a_session_is_charged_in_full,
        payments::a_session_that_costs_nothing_releases_its_hold,
        payments::a_price_that_nobody_was_told_of_is_collected_all_the_same,
        plans::a_member_pays_less_at_the_sites_of_the_plan_and_stands_free_for_a_while,
        plans::a_fleet_shares_its_allowance_and_starts_nothing_above_its_cap,
        plans::a_plan_published_while_a_session_runs_is_for_the_next_one,
        plans::a_driver_sees_what_the_plan_leaves_and_is_told_at_the_cap,
        plans::a_plan_with_mistakes_is_refused_with_all_of_them,
        membership::a_lapse_at_the_charger_is_seen_at_once_and_the_next_session_is_retail,
        membership::trial_failure_recovery_pause_and_return_are_followed,
        membership::a_trial_without_a_card_is_paused_and_resumed,
        membership::a_lost_webhook_is_caught_by_the_expiry_and_by_the_night,
        membership::a_lost_webhook_is_taken_from_stripes_list,
        membership::a_long_list_of_lost_webhooks_is_worked_through,
        taxes::two_taxes_are_named_booked_and_owed_one_by_one,
        taxes::a_price_with_tax_in_it_is_what_is_paid,
        after_sale::a_part_a_line_and_the_rest_are_given_back_each_with_its_credit_note,
        after_sale::support_gives_back_up_to_its_limits_and_finance_beyond,
        after_sale::a_refund_that_fails_later_is_still_owed_and_can_be_tried_again,
        after_sale::a_dispute_is_answered_with_the_sessions_evidence_and_won,
        after_sale::a_dispute_that_is_given_up_is_lost_and_booked,
        after_sale::a_debt_is_written_off_or_waived_and_the_books_say_which,
        after_sale::what_is_done_at_stripes_dashboard_is_known_booked_and_credited,
        after_sale::what_is_captured_too_much_at_stripe_is_given_back_by_itself,
        after_sale::a_session_billed_by_invoice_is_credited_to_its_account,
        after_sale::a_roaming_session_is_taken_back_with_a_credit_cdr,
        receipts::a_driver_who_wants_it_gets_each_receipt_and_credit_note_once,
        receipts::a_mail_whose_sender_died_is_sent_again,
        receipts::who_does_not_want_mail_or_has_no_verified_address_gets_none,
        receipts::what_is_owed_is_mailed_and_the_receipt_when_it_is_paid,
        receipts::an_operator_mails_a_receipt_to_whoever_walked_up,
        drivers::the_app_shows_price_running_cost_history_and_receipt,
        drivers::a_start_that_the_card_refuses_starts_nothing,
        drivers::a_charger_that_refuses_to_start_releases_the_hold,
        drivers::a_start_whose_hold_is_captured_at_stripe_and_comes_to_nothing_is_told,
        drivers::a_start_that_dies_while_its_hold_is_placed_leaves_no_hold,
        payers::every_payer_has_its_route_its_fees_and_its_books,
        payers::a_wallet_added_in_the_app_pays_for_a_session,
        payers::whoever_pays_a_start_from_the_app_has_their_route_and_their_fees,
        payers::a_tag_of_the_same_group_may_stop_what_another_pays,
        payers::a_debt_bars_the_next_start_until_it_is_settled,
        terminal::a_card_before_the_start_pays_for_it,
        terminal::a_card_after_the_start_pays_for_it,
        terminal::a_kiosk_takes_cards_for_several_chargers,
        terminal::a_card_that_is_declined_starts_nothing,
        terminal::a_card_without_a_session_is_released_and_told,
        terminal::a_card_that_is_captured_at_stripe_and_pays_for_nothing_is_told,
        terminal::a_session_without_a_card_is_stopped_and_held,
        terminal::a_card_whose_webhooks_are_lost_is_found,
        command::an_example_of_the_specification_is_priced,
        command::bad_input_is_told_a_line_for_every_problem,
        command::the_simulated_charger_plays_alone_and_fails_with_a_wrong_password,
        stripe::the_twin_is_what_stripes_own_sdk_expects,
        // After all that write to the log.
        refusals::no_secret_is_in_any_log,
        // Alone, with worlds of their own.
        command::the_demo_ends_well_and_says_so_in_json,
        holds::a_running_session_is_covered_or_stopped_as_its_site_has_it,
        holds::while_stripe_does_not_answer_the_site_decides,
        disturbed::everything_sent_and_delivered_twice_charges_once,
        disturbed::a_stripe_that_fails_often_charges_once,
        disturbed::killed_processes_lose_and_double_nothing,
        storm::a_storm_charges_every_session_once,
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Ends the platform: statics are never dropped, this is.
    drop(suite);
    conclusion.exit_code()
}
