//! How settings and words are declared: with what reads, checks, describes and shows them.

/// Declares settings: a struct, how it is read, its defaults, and what is told of it to users, who read
/// the comments, in one place.
///
/// A field without `= default` must be given, unless its type has a meaning for absence (lists are
/// empty, options `None`, nested settings their own defaults). Names are camelCase in the document.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $fabout:literal])* $field:ident : $ty:ty $(= $default:expr)? ),* $(,)?
        }
    )*) => {$(
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $( $(#[doc = $fabout])* pub $field: $ty, )* }

        impl $name {
            /// These settings, described for users.
            pub fn described() -> $crate::config::describe::Settings {
                let fields = vec![$({
                    let default: fn() -> Option<$ty> =
                        $crate::config::declare::default!($ty $(, $default)?);
                    $crate::config::describe::Field {
                        name: $crate::config::read::camel(stringify!($field)),
                        about: concat!($($fabout, "\n"),*),
                        shape: <$ty as $crate::config::describe::Describe>::shape(),
                        default: default().map(
                            |value| $crate::config::describe::Describe::written(&value)),
                    }
                }),*];
                let (name, about) = (stringify!($name), concat!($($about, "\n"),*));
                $crate::config::describe::Settings { name, about, fields }
            }
        }

        impl $crate::config::describe::Describe for $name {
            fn shape() -> $crate::config::describe::Shape {
                $crate::config::describe::Shape::Settings(Self::described())
            }

            fn written(&self) -> serde_json::Value {
                let fields = [$((
                    $crate::config::read::camel(stringify!($field)),
                    $crate::config::describe::Describe::written(&self.$field),
                )),*];
                serde_json::Value::Object(fields.into_iter().collect())
            }
        }

        impl $crate::config::read::Read for $name {
            fn read(
                value: &$crate::config::document::Document<'_>,
                path: &$crate::config::error::Path<'_>,
                errors: &mut $crate::config::error::Errors,
            ) -> Option<Self> {
                let object = $crate::config::read::object(
                    value, path, &[$(stringify!($field)),*], errors)?;
                $( let $field = $crate::config::read::field(
                    object, stringify!($field), $crate::config::declare::default!($ty $(, $default)?),
                    path, errors)
                    .or_else(<$ty as $crate::config::read::Read>::placeholder); )*
                Some(Self { $( $field: $field?, )* })
            }

            fn absent() -> Option<Self> {
                $( let $field: fn() -> Option<$ty> =
                    $crate::config::declare::default!($ty $(, $default)?); )*
                Some(Self { $( $field: $field()?, )* })
            }

            fn placeholder() -> Option<Self> {
                $( let $field: fn() -> Option<$ty> =
                    $crate::config::declare::default!($ty $(, $default)?); )*
                Some(Self { $( $field: $field()
                    .or_else(<$ty as $crate::config::read::Read>::placeholder)?, )* })
            }
        }
    )*};
}

macro_rules! default {
    ($ty:ty) => {
        || <$ty as $crate::config::read::Read>::absent()
    };
    ($ty:ty, $default:expr) => {
        || Some($default)
    };
}

/// Declares a choice between words, as the document spells them.
macro_rules! words {
    ($( $(#[doc = $about:literal])* pub enum $name:ident {
        $( $(#[doc = $vabout:literal])* $variant:ident = $word:literal ),* $(,)? } )*) => {$(
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $vabout])* $variant, )* }

        impl $crate::config::describe::Describe for $name {
            fn shape() -> $crate::config::describe::Shape {
                $crate::config::describe::Shape::Words(vec![$(
                    $crate::config::describe::Word {
                        word: $word,
                        about: concat!($($vabout, "\n"),*),
                    }
                ),*])
            }

            fn written(&self) -> serde_json::Value {
                self.as_str().into()
            }
        }

        impl $name {
            /// Every word, as the document spells it.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that the document uses.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }

            /// The choice that a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )* _ => None }
            }
        }

        impl $crate::config::read::Read for $name {
            fn read(
                value: &$crate::config::document::Document<'_>,
                path: &$crate::config::error::Path<'_>,
                errors: &mut $crate::config::error::Errors,
            ) -> Option<Self> {
                let word = $crate::config::read::string(value, path, errors)?;
                let choice = Self::from_word(word);
                if choice.is_none() {
                    errors.add_value(path, "is unknown", word,
                        format!("one of {}", Self::WORDS.join(", ")));
                }
                choice
            }

            fn placeholder() -> Option<Self> {
                Self::ALL.first().copied()
            }
        }
    )*};
}

pub(crate) use {default, settings, words};
