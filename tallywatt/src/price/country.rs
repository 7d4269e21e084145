//! The time zone of a country, where it has one.

use chrono_tz::Tz;

/// The time zone of the country with this ISO 3166-1 alpha-3 code; none where there are several
/// (Spain and Portugal have islands) or we do not know.
pub(super) fn zone(country: &str) -> Option<Tz> {
    let zone = match country.to_ascii_uppercase().as_str() {
        "AND" => Tz::Europe__Andorra,
        "ARE" => Tz::Asia__Dubai,
        "AUT" => Tz::Europe__Vienna,
        "BEL" => Tz::Europe__Brussels,
        "BGR" => Tz::Europe__Sofia,
        "BIH" => Tz::Europe__Sarajevo,
        "CHE" => Tz::Europe__Zurich,
        "CZE" => Tz::Europe__Prague,
        // Büsingen's clocks go with Zürich's, which have gone with Berlin's since 1980.
        "DEU" => Tz::Europe__Berlin,
        "DNK" => Tz::Europe__Copenhagen,
        "EST" => Tz::Europe__Tallinn,
        "FIN" => Tz::Europe__Helsinki,
        "FRA" => Tz::Europe__Paris,
        "GBR" => Tz::Europe__London,
        "GRC" => Tz::Europe__Athens,
        "HRV" => Tz::Europe__Zagreb,
        "HUN" => Tz::Europe__Budapest,
        "IND" => Tz::Asia__Kolkata,
        "IRL" => Tz::Europe__Dublin,
        "ISL" => Tz::Atlantic__Reykjavik,
        "ISR" => Tz::Asia__Jerusalem,
        "ITA" => Tz::Europe__Rome,
        "JPN" => Tz::Asia__Tokyo,
        "KOR" => Tz::Asia__Seoul,
        "LIE" => Tz::Europe__Vaduz,
        "LTU" => Tz::Europe__Vilnius,
        "LUX" => Tz::Europe__Luxembourg,
        "LVA" => Tz::Europe__Riga,
        "MCO" => Tz::Europe__Monaco,
        "MKD" => Tz::Europe__Skopje,
        "MLT" => Tz::Europe__Malta,
        "MNE" => Tz::Europe__Podgorica,
        "NLD" => Tz::Europe__Amsterdam,
        "NOR" => Tz::Europe__Oslo,
        "POL" => Tz::Europe__Warsaw,
        "ROU" => Tz::Europe__Bucharest,
        "SGP" => Tz::Asia__Singapore,
        "SMR" => Tz::Europe__San_Marino,
        "SRB" => Tz::Europe__Belgrade,
        "SVK" => Tz::Europe__Bratislava,
        "SVN" => Tz::Europe__Ljubljana,
        "SWE" => Tz::Europe__Stockholm,
        "TUR" => Tz::Europe__Istanbul,
        _ => return None,
    };
    Some(zone)
}
