//! Lists (KIP-466).

use crate::{Output, Payload, Readiness, SerializeError, Serializer, Target};

/// A list of elements that another serializer writes: Java's `ListSerializer`.
///
/// One byte tells how it goes on. For elements of constant size (0): how many are null, their positions, how many
/// elements there are, and those that are not null. For others (1): how many there are, and for each its length in front,
/// −1 for null. All counts have 4 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListSerializer<S> {
    inner: S,
}

const CONSTANT_SIZE: u8 = 0;
const VARIABLE_SIZE: u8 = 1;

impl<S> ListSerializer<S> {
    /// A list of what `inner` serializes.
    pub fn new(inner: S) -> ListSerializer<S> {
        ListSerializer { inner }
    }
}

impl<T, S: Serializer<T>> Serializer<[Option<T>]> for ListSerializer<S> {
    fn prepare(&self, target: &Target<'_>, value: Option<&[Option<T>]>) -> Result<Readiness, SerializeError> {
        for element in value.unwrap_or_default() {
            let readiness = self.inner.prepare(target, element.as_ref())?;
            if !readiness.is_ready() {
                return Ok(readiness);
            }
        }
        Ok(Readiness::Ready)
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&[Option<T>]>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        let Some(list) = value else {
            return Ok(Payload::Null);
        };
        if self.inner.is_constant_size() {
            output.bytes.push(CONSTANT_SIZE);
            let nulls = || (0..list.len()).filter(|index| list[*index].is_none());
            output.bytes.extend_from_slice(&count(nulls().count())?);
            for index in nulls() {
                output.bytes.extend_from_slice(&count(index)?);
            }
        } else {
            output.bytes.push(VARIABLE_SIZE);
        }
        output.bytes.extend_from_slice(&count(list.len())?);
        for (index, element) in list.iter().enumerate() {
            self.element(target, index, element.as_ref(), output)?;
        }
        Ok(Payload::Bytes)
    }
}

impl<T, S: Serializer<T>> Serializer<Vec<Option<T>>> for ListSerializer<S> {
    fn prepare(
        &self,
        target: &Target<'_>,
        value: Option<&Vec<Option<T>>>,
    ) -> Result<Readiness, SerializeError> {
        self.prepare(target, value.map(Vec::as_slice))
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&Vec<Option<T>>>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        self.serialize(target, value.map(Vec::as_slice), output)
    }
}

impl<S> ListSerializer<S> {
    fn element<T>(
        &self,
        target: &Target<'_>,
        index: usize,
        element: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<(), SerializeError>
    where
        S: Serializer<T>,
    {
        const NULL: [u8; 4] = (-1_i32).to_be_bytes();
        let place = |error: SerializeError| {
            let path = match error.field() {
                Some(inner) => format!("[{index}].{inner}"),
                None => format!("[{index}]"),
            };
            error.with_field(path)
        };
        let has_length = !self.inner.is_constant_size();
        let length_at = output.bytes.len();
        if has_length {
            // Filled in when the element is written; of a null it stays.
            output.bytes.extend_from_slice(&NULL);
        }
        if element.is_none() {
            return Ok(());
        }
        let start = output.bytes.len();
        match self.inner.serialize(target, element, output).map_err(place)? {
            Payload::Null => {
                return Err(place(SerializeError::value(
                    "an element that is there became null",
                )));
            }
            Payload::Bytes if has_length => {
                let length = count(output.bytes.len() - start)?;
                output.bytes[length_at..start].copy_from_slice(&length);
            }
            Payload::Bytes => {}
        }
        Ok(())
    }
}

fn count(count: usize) -> Result<[u8; 4], SerializeError> {
    let count = i32::try_from(count)
        .map_err(|_| SerializeError::value("a list cannot have more than 2,147,483,647 elements or bytes"))?;
    Ok(count.to_be_bytes())
}
