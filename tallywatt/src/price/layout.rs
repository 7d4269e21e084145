//! Text in columns and lines that fit a terminal.

/// The widest line.
pub(crate) const WIDEST: usize = 100;
/// The narrowest first column that is worth a table.
const FIRST: usize = 20;

/// Rows in columns: the first to the left and wrapped, the others to the right. Where the others
/// leave no room, every row becomes a list of its cells.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max()
    };
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
    let Some(room) = WIDEST.checked_sub(others).filter(|room| *room >= FIRST) else {
        return list(rows);
    };
    let first = widths.first().copied().unwrap_or_default().min(room);
    let mut text = String::new();
    for row in rows {
        let mut names = pieces(row.first().map_or("", String::as_str), first, 2).into_iter();
        let name = names.next().unwrap_or_default();
        let mut line = format!("{name}{}", padding(first, &name));
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str("  ");
            line.push_str(&padding(*width, cell));
            line.push_str(cell);
        }
        push(&mut text, &line);
        for name in names {
            push(&mut text, &name);
        }
    }
    text
}

/// The cells of every row below each other, named by the first row.
fn list(rows: &[Vec<String>]) -> String {
    let Some((head, rows)) = rows.split_first() else { return String::new() };
    let mut text = String::new();
    for row in rows {
        for (place, (cell, name)) in row.iter().zip(head).enumerate() {
            if place == 0 {
                text.push_str(&wrap(cell, 0, 2));
            } else if !cell.is_empty() {
                text.push_str(&wrap(&format!("{name} {cell}"), 2, 4));
            }
        }
    }
    text
}

/// `line` in lines of at most [`WIDEST`] columns, the first with `indent` blanks before it, the
/// others with `hanging`.
pub(crate) fn wrap(line: &str, indent: usize, hanging: usize) -> String {
    let mut text = String::new();
    let hang = hanging.saturating_sub(indent);
    for piece in pieces(line, WIDEST - indent, hang) {
        push(&mut text, &format!("{}{piece}", " ".repeat(indent)));
    }
    text
}

/// `text` in pieces of at most `width` columns, broken at blanks where there are any; all but the
/// first begin with `hanging` blanks.
fn pieces(text: &str, width: usize, hanging: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut is_fresh = true;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let last = pieces.last_mut().map(|piece| length(piece)).unwrap_or_default();
            let gap = usize::from(!is_fresh);
            if last + gap + word.len() <= width {
                break;
            }
            if is_fresh {
                // A word that is longer than a line is broken where the line ends.
                let rest = word.split_off(width.saturating_sub(last).clamp(1, word.len()));
                if let Some(piece) = pieces.last_mut() {
                    piece.extend(&word);
                }
                word = rest;
                if word.is_empty() {
                    break;
                }
            }
            pieces.push(" ".repeat(hanging));
            is_fresh = true;
        }
        if let Some(piece) = pieces.last_mut() {
            if !is_fresh {
                piece.push(' ');
            }
            piece.extend(&word);
            is_fresh = false;
        }
    }
    pieces
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn padding(width: usize, cell: &str) -> String {
    " ".repeat(width.saturating_sub(length(cell)))
}

fn push(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_line_up() {
        let text = columns(&[row(&["EUR", "Cost"]), row(&["Energy", "10.82"]), row(&["Fee", ""])]);
        assert_eq!(text, "EUR      Cost\nEnergy  10.82\nFee\n");
    }

    #[test]
    fn a_long_name_goes_on_below_itself() {
        let name =
            "Energy (07:00–21:00, Mon Tue Wed Thu Fri, 2026-01-01 until 2026-04-01, up to 20 kWh)";
        let text = columns(&[row(&[name, &"9".repeat(40)])]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("  ")), "{text}");
    }

    #[test]
    fn numbers_that_leave_no_room_are_listed() {
        let wide = "9".repeat(45);
        let text = columns(&[row(&["EUR", "Cost", "Tax"]), row(&["Energy", &wide, &wide])]);
        assert_eq!(text, format!("Energy\n  Cost {wide}\n  Tax {wide}\n"));
    }

    #[test]
    fn lines_are_broken_at_blanks_and_words_only_where_they_must() {
        let text = wrap(&"word ".repeat(40), 2, 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST));
        assert!(text.lines().all(|line| line.trim_start().starts_with("word")), "{text}");
        let text = wrap(&"x".repeat(250), 0, 2);
        assert_eq!(text.lines().map(|line| line.trim_start().len()).sum::<usize>(), 250);
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST));
    }
}
