//! Who may do what.

use std::{fmt, fmt::Write as _, str::FromStr};

/// A role of an operator's staff, from the claim `roles`. A person can have several; none includes
/// another, so that whoever makes prices need not be whoever waives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Builds the network: sites, chargers, prices, partners.
    Admin,
    /// Helps drivers: tags, exceptions.
    Support,
    /// Watches the money: sessions, exceptions, queues.
    Finance,
    /// No person: a kiosk, or a charger's own terminal, that asks for cards at readers.
    Kiosk,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Support, Self::Finance, Self::Kiosk];

    /// The role as the claim spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Support => "support",
            Self::Finance => "finance",
            Self::Kiosk => "kiosk",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A claim names a role that we do not have; such a role gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// Something an operator's staff may do; a handler names it in its [`crate::Operator`] argument.
pub trait Permission: Send + Sync + 'static {
    /// What it allows, in words.
    const ALLOWS: &'static str;
    /// The roles that have it.
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($($name:ident: $allows:literal => [$($role:ident),+];)+) => {
        $(
            #[doc = concat!("To ", $allows, ".")]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Permission for $name {
                const ALLOWS: &'static str = $allows;
                const ROLES: &'static [Role] = &[$(Role::$role),+];
            }
        )+

        const TABLE: &[(&str, &[Role])] = &[$(($name::ALLOWS, $name::ROLES)),+];
    };
}

// The one place that says who may do what; the OpenAPI document prints it.
permissions! {
    ReadNetwork: "read sites, chargers, tariffs and offers" => [Admin, Support, Finance];
    WriteNetwork: "change sites, chargers, tariffs and offers" => [Admin];
    WritePartners: "read and change roaming partners and webhook subscribers" => [Admin];
    WriteEntitlements: "read and change entitlements" => [Admin, Support];
    TakeCards: "ask for cards at readers" => [Support, Kiosk];
    ReadSessions: "read sessions, with payment, CDR and journal" => [Support, Finance];
    ReadExceptions: "read exceptions" => [Support, Finance];
    ResolveExceptions: "bill, waive or dismiss an exception" => [Support];
    RefundDrivers: "give money back; support up to a limit per session and day" => [Support, Finance];
    MailReceipts: "mail a receipt or credit note to an address that somebody names"
        => [Support, Finance];
    ForgiveDebts: "waive or write off what is owed" => [Finance];
    CreditPartners: "take a session back from a roaming partner" => [Finance];
    AnswerDisputes: "answer or accept a dispute" => [Finance];
    ReadQueues: "count dead letters" => [Admin, Support, Finance];
    RedriveQueues: "re-drive dead letters" => [Finance];
}

/// The table of permissions as Markdown.
#[must_use]
pub fn role_table() -> String {
    let mut table = "| To … |".to_owned();
    for role in Role::ALL {
        let _ = write!(table, " {role} |");
    }
    let columns = "---|".repeat(Role::ALL.len());
    let _ = write!(table, "\n|---|{columns}\n");
    for (allows, roles) in TABLE {
        let _ = write!(table, "| {allows} |");
        for role in Role::ALL {
            table.push_str(if roles.contains(&role) { " yes |" } else { " |" });
        }
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sets_prices_does_not_decide_what_is_billed() {
        assert!(!ResolveExceptions::ROLES.contains(&Role::Admin));
        assert!(!WriteNetwork::ROLES.contains(&Role::Support));
        assert!(!RedriveQueues::ROLES.contains(&Role::Support));
    }

    #[test]
    fn the_table_has_a_row_for_every_permission() {
        let table = role_table();
        assert_eq!(table.lines().count(), 2 + TABLE.len());
        assert!(table.contains("| change sites, chargers, tariffs and offers | yes | | | |"));
    }

    #[test]
    fn a_role_is_spelled_exactly() {
        assert_eq!("admin".parse(), Ok(Role::Admin));
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
