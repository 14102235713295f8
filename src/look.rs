//! How a method is drawn and called: what a method says of itself, and a report shows.
//!
//! Colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart;
//! markers and dashes say the same a second time.

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ◆
    Diamond,
    /// ▲
    Up,
    /// ▼
    Down,
    /// ✕
    Cross,
    /// +
    Plus,
}

/// All of them, in the order that variants take them.
pub const MARKERS: [Marker; 7] = [
    Marker::Circle,
    Marker::Square,
    Marker::Diamond,
    Marker::Up,
    Marker::Down,
    Marker::Cross,
    Marker::Plus,
];

/// Pattern of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    /// Unbroken.
    Solid,
    /// Long dashes.
    Dashed,
    /// Short dashes.
    Dotted,
    /// Very long dashes.
    LongDashes,
}

/// All of them, in the order that variants take them.
pub const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::LongDashes];

impl Dash {
    /// Lengths of a stroke and a gap in pixels; none when solid.
    pub fn lengths(self) -> Option<[f64; 2]> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some([8.0, 4.0]),
            Self::Dotted => Some([2.5, 3.0]),
            Self::LongDashes => Some([18.0, 4.0]),
        }
    }
}

/// How a point and a line are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colour.
    pub colour: Colour,
    /// Marker.
    pub marker: Marker,
    /// Dash of its lines.
    pub dash: Dash,
}

impl Look {
    /// A look of its own.
    pub const fn new(colour: Colour, marker: Marker, dash: Dash) -> Self {
        Self {
            colour,
            marker,
            dash,
        }
    }
}

/// How a method with its options is drawn and called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Name for readers.
    pub title: String,
    /// How it is drawn; `None`: with the next free colour of the figure.
    pub look: Option<Look>,
    /// The options that title and look show, so that nobody has to name them again.
    pub shown: Vec<&'static str>,
}

/// The options of a label as they were given.
#[derive(Clone, Debug, Default)]
pub struct Given<'l>(Vec<(&'l str, &'l str)>);

impl<'l> Given<'l> {
    /// `datainf:group_size=8,shuffle=false` → `datainf` and (`group_size`, `8`), (`shuffle`, `false`).
    pub fn parse(label: &'l str) -> (&'l str, Self) {
        let (method, options) = label.split_once(':').unwrap_or((label, ""));
        let options = options.split(',').filter(|option| !option.is_empty());
        let options = options.map(|option| option.split_once('=').unwrap_or((option, "")));
        let options = options.map(|(key, value)| (key.trim(), value.trim()));
        (method.trim(), Self(options.collect()))
    }

    /// The value of an option; `None` when it was not given.
    pub fn get(&self, key: &str) -> Option<&'l str> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'l str, &'l str)> {
        self.0.iter().copied()
    }
}
