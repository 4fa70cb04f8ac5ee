//! Reasons as enums: a caller compares variants, and only whoever writes a log or a refusal reads the words.

/// Declares an enum whose variants stand for the words behind them.
macro_rules! reasons {
    ($( $(#[doc = $about:literal])* $vis:vis enum $name:ident {
        $( $variant:ident = $text:literal ),* $(,)? } )*) => {$(
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( #[doc = $text] $variant, )* }

        impl $name {
            /// The words, for logs and refusals.
            #[inline(never)]
            $vis const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }
        }
    )*};
}

pub(crate) use reasons;
