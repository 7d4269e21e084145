//! OCPI 2.1.1 (`release-2.1.1-bugfixes`, `mod_tariffs.md`, `mod_cdrs.md`), read only.
//!
//! What differs from 2.2.1, and how it is read:
//! - A tariff names no owner; `country_code` and `party_id` become `#NA`.
//! - There is no VAT, no least or most price, no validity, no reservation and no restriction on
//!   current. Where such a field is stated all the same, 2.1.1 says nothing about it: it is named
//!   as left out, and a restriction is kept for pricing to refuse.
//! - "The first tariff in the list with matching restrictions will be used": taken per dimension,
//!   as 2.2.1 clarified. Read for whole elements, the chapter's own complex example would bill its
//!   start fee and nothing else.
//! - "Valid up to this charging speed" and the like do not say whether the bound belongs to it. Read
//!   as 2.2.1 says: what is at least a minimum and below a maximum.
//! - A CDR ends at `stop_date_time`, costs a bare number without VAT, has a whole _Location_ and an
//!   `auth_id`, which 2.2.1 calls `contract_id`. Its periods name no tariff.
//! - `FLAT` as a dimension of a period says that a fee was due; the tariff says so too.
//! - The chapter's CDR example has a price in quotes; such a number is read.

use crate::{
    Cdr, CdrLocation, CdrToken, Tariff, TokenType, Version,
    read::{self, Node, Problem, Reading},
};

/// Reads a _Tariff_ object.
///
/// # Errors
///
/// Every problem found.
pub fn tariff(text: &str) -> Result<Reading<Tariff>, Vec<Problem>> {
    read::tariff_as(text, Some(Version::V2_1_1))
}

/// Reads a _CDR_ object.
///
/// # Errors
///
/// Every problem found.
pub fn cdr(text: &str) -> Result<Reading<Cdr>, Vec<Problem>> {
    read::cdr_as(text, Some(Version::V2_1_1))
}

/// The token of the CDR at `node`, which knows the contract only.
pub(crate) fn token(node: &Node) -> CdrToken {
    let unknown = || "#NA".to_owned();
    CdrToken {
        country_code: unknown(),
        party_id: unknown(),
        uid: unknown(),
        token_type: TokenType::Other,
        contract_id: node.field("auth_id").text_or_na(),
    }
}

/// The only connector of a _Location_ object.
pub(crate) fn location_at(node: &Node) -> CdrLocation {
    let place = read::place_at(node);
    let Some(evse) = only(&node.field("evses")) else { return place };
    let place = CdrLocation {
        evse_uid: evse.field("uid").text_or_na(),
        evse_id: evse.field("evse_id").text_or_na(),
        ..place
    };
    let Some(connector) = only(&evse.field("connectors")) else { return place };
    CdrLocation {
        connector_id: connector.field("id").text_or_na(),
        connector_standard: connector.field("standard").text_or_na(),
        connector_format: connector.field("format").text_or_na(),
        connector_power_type: connector.field("power_type").text_or_na(),
        ..place
    }
}

/// The first of a list that has one item, if it is written as it should be.
fn only<'a>(node: &Node<'a>) -> Option<Node<'a>> {
    let mut list = node.any_list();
    if list.len() > 1 {
        node.left_out("more than the one that the session was at; the first is kept");
        list.truncate(1);
    }
    list.pop()
}
