//! How often a meter is read, and in which order it is told, changes no price.

use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    generators::{
        sessions::{even, read_more_often, timeline},
        tariffs::tariff,
        taxes, zone,
    },
    rate, uncounted,
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_even_session_costs_the_same_however_often_it_is_read(
        tariff in tariff(), even in even(), zone in zone(), taxes in taxes(),
        parts in vec(0_u16..=1000, 1..40),
    ) {
        let finer = read_more_often(&even, &[parts]);
        let price = |timeline| uncounted(rate(&tariff, timeline, zone, &taxes));
        prop_assert_eq!(price(&even), price(&finer));
    }

    #[test]
    fn readings_on_the_line_between_others_change_nothing(
        tariff in tariff(), timeline in timeline(), zone in zone(), taxes in taxes(),
        parts in vec(vec(0_u16..=1000, 0..6), 16),
    ) {
        let finer = read_more_often(&timeline, &parts);
        let price = |timeline| uncounted(rate(&tariff, timeline, zone, &taxes));
        prop_assert_eq!(price(&timeline), price(&finer));
    }

    #[test]
    fn the_order_and_the_number_of_messages_change_nothing(
        tariff in tariff(), timeline in timeline(), zone in zone(), at in any::<Index>(),
    ) {
        let mut shuffled = timeline.clone();
        shuffled.samples.extend(timeline.samples.iter().rev());
        shuffled.statuses.extend(timeline.statuses.iter().rev());
        let middle = at.index(shuffled.samples.len());
        shuffled.samples.rotate_left(middle);
        prop_assert_eq!(rate(&tariff, &timeline, zone, &[]), rate(&tariff, &shuffled, zone, &[]));
    }
}
