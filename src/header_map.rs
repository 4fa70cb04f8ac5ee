//! Header maps in the host's serialization: the number of fields, the sizes of each name and value, then
//! names and values, each with a NUL behind it.

/// A header field.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// The fields of a serialized header map. What does not fit the format ends the list.
pub fn fields(map: &[u8]) -> Vec<Field<'_>> {
    let Some((count, rest)) = map.split_first_chunk().map(|(count, rest)| (length(count), rest))
    else {
        return Vec::new();
    };
    // The count is trusted only as far as the bytes bear it out.
    let sizes = count.checked_mul(8).and_then(|sizes| rest.split_at_checked(sizes));
    let Some((sizes, mut text)) = sizes else { return Vec::new() };
    let mut fields = Vec::with_capacity(count);
    for sizes in sizes.chunks_exact(8) {
        let Some((name, value)) = sizes.split_first_chunk() else { break };
        let Some(value) = value.first_chunk() else { break };
        let mut piece = |size: &[u8; 4]| {
            let (piece, rest) = text.split_at_checked(length(size))?;
            text = rest.get(1..)?;
            Some(piece)
        };
        let (Some(name), Some(value)) = (piece(name), piece(value)) else { break };
        fields.push((name, value));
    }
    fields
}

fn length(word: &[u8; 4]) -> usize {
    usize::try_from(u32::from_le_bytes(*word)).unwrap_or(usize::MAX)
}

/// The host's serialization of header fields.
pub fn serialized(fields: &[Field<'_>]) -> Vec<u8> {
    let size = fields.iter().map(|(n, v)| n.len().saturating_add(v.len()).saturating_add(10)).sum();
    let mut map = Vec::with_capacity(size);
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    map.extend_from_slice(&word(fields.len()));
    for piece in fields.iter().flat_map(|(name, value)| [name, value]) {
        map.extend_from_slice(&word(piece.len()));
    }
    for piece in fields.iter().flat_map(|(name, value)| [name, value]) {
        map.extend_from_slice(piece);
        map.push(0);
    }
    map
}
