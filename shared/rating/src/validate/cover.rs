//! Sets of moments as unions of blocks, so that "is covered by" can be decided and not guessed.

/// What a restriction can ask about, one axis each. Day and weekday are one axis, because a date
/// decides the day of the week.
pub(super) const AXES: usize = 7;

/// Position of an axis in a [`Block`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Axis {
    Day,
    Time,
    Energy,
    Duration,
    Power,
    Current,
    Expired,
}

impl Axis {
    pub(super) const ALL: [Self; AXES] = [
        Self::Day,
        Self::Time,
        Self::Energy,
        Self::Duration,
        Self::Power,
        Self::Current,
        Self::Expired,
    ];
}

/// Some of the cells that an axis is cut into, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cells(Vec<u64>);

impl Cells {
    /// The cells of `0..count` for which `is_in` holds.
    pub(super) fn of(count: usize, is_in: impl Fn(usize) -> bool) -> Self {
        let mut words = vec![0_u64; count.div_ceil(64)];
        for (index, word) in words.iter_mut().enumerate() {
            for bit in 0..64 {
                let cell = index * 64 + bit;
                if cell < count && is_in(cell) {
                    *word |= 1 << bit;
                }
            }
        }
        Self(words)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn contains(&self, cell: usize) -> bool {
        self.0.get(cell / 64).is_some_and(|word| word & (1 << (cell % 64)) != 0)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a | b).collect())
    }

    fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & !b).collect())
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}

/// All moments whose coordinate on every axis is in the axis' cells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block(pub(super) [Cells; AXES]);

impl Block {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().any(Cells::is_empty)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a.meets(b))
    }

    /// Whether all of `other` is in it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(own, other)| other.minus(own).is_empty())
    }

    pub(super) fn cells(&self, axis: Axis) -> Option<&Cells> {
        Axis::ALL.into_iter().zip(&self.0).find(|(other, _)| *other == axis).map(|(_, cells)| cells)
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (own, other) in both.0.iter_mut().zip(&other.0) {
            *own = own.and(other);
        }
        both
    }

    /// The same with other cells on one axis.
    pub(super) fn with(&self, axis: Axis, cells: &Cells) -> Self {
        let mut block = self.clone();
        for (other, own) in Axis::ALL.into_iter().zip(&mut block.0) {
            if other == axis {
                own.clone_from(cells);
            }
        }
        block
    }

    /// Appends what of this is not in `other`, as blocks that do not meet.
    fn minus(&self, other: &Self, into: &mut Vec<Self>) {
        let mut inside = self.clone();
        for (axis, taken) in Axis::ALL.into_iter().zip(&other.0) {
            let Some(own) = inside.cells(axis) else { continue };
            let (outside, shared) = (own.minus(taken), own.and(taken));
            if !outside.is_empty() {
                into.push(inside.with(axis, &outside));
            }
            inside = inside.with(axis, &shared);
        }
    }
}

/// A union of blocks that do not meet.
#[derive(Debug, Clone)]
pub(super) struct Region(Vec<Block>);

/// Too many blocks to go on: the answer is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// More blocks than this are not followed. A tariff with a thousand different corners is nothing
/// that a person can check either, and the work stays below a second.
const BLOCKS_MAX: usize = 1000;

impl Region {
    pub(super) fn new(block: Block) -> Self {
        Self(if block.is_empty() { Vec::new() } else { vec![block] })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn meets(&self, block: &Block) -> bool {
        self.0.iter().any(|own| own.meets(block))
    }

    pub(super) fn take(&mut self, block: &Block) -> Result<(), TooMany> {
        if !self.meets(block) {
            return Ok(());
        }
        let mut rest = Vec::with_capacity(self.0.len());
        for own in &self.0 {
            if own.meets(block) {
                own.minus(block, &mut rest);
            } else {
                rest.push(own.clone());
            }
            if rest.len() > BLOCKS_MAX {
                return Err(TooMany);
            }
        }
        self.0 = rest;
        Ok(())
    }

    /// The blocks, joined where two differ on one axis only, so that few words name them.
    pub(super) fn into_blocks(mut self) -> Vec<Block> {
        loop {
            let before = self.0.len();
            for axis in Axis::ALL {
                self.join(axis);
            }
            if self.0.len() == before {
                return self.0;
            }
        }
    }

    fn join(&mut self, axis: Axis) {
        let others = |block: &Block| {
            let cells = Axis::ALL.into_iter().zip(block.0.clone());
            cells.filter(|(other, _)| *other != axis).map(|(_, cells)| cells).collect::<Vec<_>>()
        };
        self.0.sort_by_cached_key(others);
        let mut joined: Vec<Block> = Vec::with_capacity(self.0.len());
        for block in self.0.drain(..) {
            if let Some(last) = joined.last_mut()
                && others(last) == others(&block)
                && let Some((own, more)) = last.cells(axis).zip(block.cells(axis))
            {
                *last = last.with(axis, &own.or(more));
                continue;
            }
            joined.push(block);
        }
        self.0 = joined;
    }
}
