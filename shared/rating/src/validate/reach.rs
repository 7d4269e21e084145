//! Which components can never apply, and when no component applies.
//!
//! Per dimension the first component whose restrictions hold applies (`mod_tariffs`, Tariff
//! Element). So each component takes from what those before it have left: one that finds nothing is
//! never reached, and what is left after the last has no price. Both are decided exactly, on the
//! cells of a [`Space`]; when the pieces get too many, nothing is claimed.

use std::collections::{BTreeMap, BTreeSet};

use ocpi::{ReservationRestrictionType, TariffDimensionType};
use rust_decimal::Decimal;

use super::{
    cover::{Axis, Block, Cells, Region, TooMany},
    space::Space,
};
use crate::compile::{Compiled, Component};

/// What was found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Survey {
    pub(super) dead: Vec<Dead>,
    pub(super) gaps: Vec<Gap>,
    /// Dimensions of which nothing is known, because they have too many different corners.
    pub(super) unknown: Vec<Priced>,
}

/// A component that never applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dead {
    /// Index of its element.
    pub(super) element: usize,
    /// Its index in the element.
    pub(super) position: usize,
    pub(super) priced: Priced,
    /// The elements that leave it nothing.
    pub(super) by: Vec<usize>,
    /// Whether that is because a flat fee falls due once, and theirs at the start.
    pub(super) once: bool,
}

/// Moments at which a dimension has no price.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub(super) priced: Priced,
    pub(super) block: Block,
    /// All moments that were asked about.
    pub(super) among: Block,
}

/// What has its own list of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Priced {
    pub(super) dimension: TariffDimensionType,
    pub(super) of_reservation: bool,
}

/// Where a gap matters.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    /// The days on which sessions can take place.
    pub(super) days: Cells,
    /// The powers that the site's chargers have.
    pub(super) powers: Cells,
}

/// More components than this are not looked at: the answer would take too long.
const COMPONENTS_MAX: usize = 1000;

/// Looks at every dimension of `tariff`.
pub(super) fn survey(tariff: &Compiled, space: &Space, domain: &Domain) -> Survey {
    use TariffDimensionType::{Energy, Flat, ParkingTime, Time};
    let lists = [
        (&tariff.energy, Energy, false),
        (&tariff.time, Time, false),
        (&tariff.parking, ParkingTime, false),
        (&tariff.flat, Flat, false),
        (&tariff.reservation_time, Time, true),
        (&tariff.reservation_flat, Flat, true),
    ];
    let mut survey = Survey::default();
    let too_many = tariff.components.len() > COMPONENTS_MAX;
    for (list, dimension, of_reservation) in lists {
        let priced = Priced { dimension, of_reservation };
        let components: Vec<_> =
            list.iter().filter_map(|index| tariff.components.get(*index)).collect();
        let is_empty = components.is_empty();
        let list = List { space, domain, priced, components };
        if !is_empty && (too_many || list.look(&mut survey).is_err()) {
            survey.unknown.push(priced);
        }
    }
    survey
}

struct List<'a> {
    space: &'a Space,
    domain: &'a Domain,
    priced: Priced,
    components: Vec<&'a Component>,
}

impl List<'_> {
    fn look(&self, survey: &mut Survey) -> Result<(), TooMany> {
        let blocks: Vec<Block> =
            self.components.iter().map(|component| self.space.block(&component.rule)).collect();
        let dead = self.dead(&blocks)?;
        let gaps = self.gaps(&blocks)?;
        survey.dead.extend(dead);
        survey.gaps.extend(gaps);
        Ok(())
    }

    fn dead(&self, blocks: &[Block]) -> Result<Vec<Dead>, TooMany> {
        let start = self.start_decides(blocks)?;
        let mut left = Region::new(self.space.all());
        let mut dead = Vec::new();
        for (place, (component, block)) in self.components.iter().zip(blocks).enumerate() {
            let at_start = start.as_ref().map(|start| start.and(block));
            // A restriction that contradicts itself is told as such.
            if block.is_empty() {
                continue;
            }
            let Component { element, position, .. } = **component;
            let priced = self.priced;
            if !left.meets(block) {
                let by = self.takers(block, place, blocks)?;
                // A dimension that comes twice in an element is told as such.
                if by != [element] {
                    dead.push(Dead { element, position, priced, by, once: false });
                }
            } else if let Some((start, at_start)) = start.as_ref().zip(at_start)
                && !left.meets(&at_start)
            {
                let by = self.takers(start, blocks.len(), blocks)?;
                dead.push(Dead { element, position, priced, by, once: true });
            }
            left.take(block)?;
        }
        Ok(dead)
    }

    /// A flat fee falls due once. Where every session has one at its start (which is returned),
    /// nothing is left for what applies only later.
    fn start_decides(&self, blocks: &[Block]) -> Result<Option<Block>, TooMany> {
        if self.priced.dimension != TariffDimensionType::Flat {
            return Ok(None);
        }
        let start = self.space.start();
        let mut without_fee = Region::new(start.clone());
        for block in blocks {
            without_fee.take(block)?;
        }
        Ok(without_fee.is_empty().then_some(start))
    }

    /// The elements of the first `count` that take `whole` among them.
    fn takers(&self, whole: &Block, count: usize, blocks: &[Block]) -> Result<Vec<usize>, TooMany> {
        let before = || self.components.iter().zip(blocks).take(count);
        let mut alone = before().filter(|(_, block)| block.contains(whole));
        if let Some((component, _)) = alone.next() {
            return Ok(vec![component.element]);
        }
        let mut left = Region::new(whole.clone());
        let mut takers = Vec::new();
        for (component, block) in before() {
            if left.meets(block) {
                takers.push(component.element);
                left.take(block)?;
            }
        }
        takers.sort_unstable();
        takers.dedup();
        Ok(takers)
    }

    fn gaps(&self, blocks: &[Block]) -> Result<Vec<Gap>, TooMany> {
        // Where the rest costs nothing either, a gap changes nothing.
        if self.components.iter().all(|component| component.price.is_zero()) {
            return Ok(Vec::new());
        }
        let matters = self.matters();
        let mut left = Region::new(matters.clone());
        for block in blocks.iter().filter(|block| !block.is_empty()) {
            left.take(&self.projected(block))?;
        }
        let gap = |block| Gap { priced: self.priced, block, among: matters.clone() };
        Ok(left.into_blocks().into_iter().map(gap).collect())
    }

    /// The moments at which a missing price matters.
    fn matters(&self) -> Block {
        let Priced { dimension, of_reservation } = self.priced;
        let mut all = self.space.all().with(Axis::Day, &self.domain.days);
        all = all.with(Axis::Power, &self.domain.powers);
        if dimension == TariffDimensionType::ParkingTime {
            // Who only stands there draws nothing.
            all = all.with(Axis::Power, &self.space.powers_kw.first());
            all = all.with(Axis::Current, &self.space.currents_a.first());
        }
        let expires = |component: &&Component| {
            component.rule.reservation == Some(ReservationRestrictionType::ReservationExpires)
        };
        if of_reservation && self.components.iter().all(expires) {
            all = all.with(Axis::Expired, &Cells::of(2, |expired| expired == 1));
        }
        all
    }

    /// A flat fee is due once, whenever its element applies; and a reservation has no energy, power
    /// or duration of its own. For these only day and time count.
    fn projected(&self, block: &Block) -> Block {
        if self.priced.dimension != TariffDimensionType::Flat && !self.priced.of_reservation {
            return block.clone();
        }
        let mut projected = self.space.all();
        for axis in [Axis::Day, Axis::Time, Axis::Expired] {
            if let Some(cells) = block.cells(axis) {
                projected = projected.with(axis, cells);
            }
        }
        projected
    }
}

/// The dead components by element, and whether they are all that the element prices.
pub(super) fn by_element(dead: &[Dead], tariff: &Compiled) -> BTreeMap<usize, (Vec<Dead>, bool)> {
    let mut priced: BTreeMap<usize, BTreeSet<TariffDimensionType>> = BTreeMap::new();
    for component in &tariff.components {
        priced.entry(component.element).or_default().insert(component.dimension);
    }
    let mut elements: BTreeMap<usize, (Vec<Dead>, bool)> = BTreeMap::new();
    for component in dead {
        elements.entry(component.element).or_default().0.push(component.clone());
    }
    for (element, (dead, is_whole)) in &mut elements {
        *is_whole = priced.get(element).is_some_and(|priced| priced.len() == dead.len());
    }
    elements
}

/// The powers up to `max_kw`, or all of them.
pub(super) fn powers(space: &Space, max_kw: Option<Decimal>) -> Cells {
    let starts = &space.powers_kw.starts;
    Cells::of(starts.len(), |cell| {
        starts.get(cell).is_some_and(|start| max_kw.is_none_or(|max| *start <= max))
    })
}
