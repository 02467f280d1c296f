//! Types of columns.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Fields, TimeUnit};
use headrace_core::FieldOptions;

use super::super::{
    ARRAY, BFLOAT16_VECTOR, BINARY_VECTOR, BOOL, DATA_TYPES, DOUBLE, FLOAT, FLOAT_VECTOR, FLOAT16_VECTOR, INT8,
    INT8_VECTOR, INT16, INT32, INT64, JSON, SPARSE_FLOAT_VECTOR, TIMESTAMPTZ,
};
use super::Source;

impl Source<'_> {
    /// A type that the field takes, or now and then one that it does not.
    pub(super) fn column_type(&mut self, options: &FieldOptions) -> DataType {
        if self.one_in(24) {
            return self.any_type(2);
        }
        let plain = match options.data_type {
            ARRAY => {
                let element = self.scalar(options.element_type);
                let element = self.encoded(element);
                self.list(element, 3)
            }
            SPARSE_FLOAT_VECTOR => self.sparse(),
            FLOAT_VECTOR | FLOAT16_VECTOR | BFLOAT16_VECTOR | INT8_VECTOR | BINARY_VECTOR => self.vector(options),
            other => self.scalar(other),
        };
        self.encoded(plain)
    }

    fn scalar(&mut self, data_type: i32) -> DataType {
        let texts = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
        match data_type {
            BOOL => DataType::Boolean,
            INT8 => DataType::Int8,
            INT16 => DataType::Int16,
            INT32 => DataType::Int32,
            INT64 => DataType::Int64,
            FLOAT => DataType::Float32,
            DOUBLE => DataType::Float64,
            JSON if self.one_in(2) => self.pick(&[DataType::Binary, DataType::LargeBinary, DataType::BinaryView]),
            TIMESTAMPTZ if self.one_in(2) => {
                let unit =
                    self.pick(&[TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]);
                DataType::Timestamp(unit, self.one_in(2).then(|| "Asia/Tokyo".into()))
            }
            // VARCHAR, GEOMETRY and the other half of JSON and TIMESTAMPTZ.
            _ => self.pick(&texts),
        }
    }

    fn vector(&mut self, options: &FieldOptions) -> DataType {
        let dim = i32::try_from(options.dim).unwrap_or(1).clamp(0, 64);
        let (element, bytes) = match options.data_type {
            FLOAT_VECTOR => (DataType::Float32, 4 * dim),
            FLOAT16_VECTOR => (DataType::Float16, 2 * dim),
            BFLOAT16_VECTOR => (self.pick(&[DataType::UInt16, DataType::FixedSizeBinary(2)]), 2 * dim),
            INT8_VECTOR => (DataType::Int8, dim),
            _ => (DataType::UInt8, dim / 8),
        };
        let width = if options.data_type == BINARY_VECTOR { dim / 8 } else { dim };
        match self.byte() % 4 {
            0 => DataType::FixedSizeBinary(bytes + i32::from(self.one_in(16))),
            1 => self.pick(&[DataType::Binary, DataType::LargeBinary, DataType::BinaryView]),
            _ => self.list(element, width),
        }
    }

    fn list(&mut self, element: DataType, width: i32) -> DataType {
        let item = item(element);
        match self.byte() % 5 {
            0 => DataType::FixedSizeList(item, if self.one_in(16) { width - 1 } else { width }),
            1 => DataType::List(item),
            2 => DataType::LargeList(item),
            3 => DataType::ListView(item),
            _ => DataType::LargeListView(item),
        }
    }

    fn sparse(&mut self) -> DataType {
        let index = self.pick(&[DataType::UInt32, DataType::Int32, DataType::Int64, DataType::UInt64]);
        let pair = |first: DataType, second: DataType| {
            Fields::from(vec![ArrowField::new("index", first, true), ArrowField::new("value", second, true)])
        };
        match self.byte() % 3 {
            0 => DataType::Map(item(DataType::Struct(pair(index, DataType::Float32))), false),
            1 => DataType::Struct(pair(self.list(index, 2), self.list(DataType::Float32, 2))),
            _ => self.list(DataType::Struct(pair(index, DataType::Float32)), 2),
        }
    }

    /// `plain` or a dictionary or runs of it.
    fn encoded(&mut self, plain: DataType) -> DataType {
        use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
        match self.byte() % 6 {
            0 => {
                let key = self.pick(&[Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64]);
                DataType::Dictionary(Box::new(key), Box::new(plain))
            }
            1 => {
                let ends = ArrowField::new("run_ends", self.pick(&[Int16, Int32, Int64]), false);
                DataType::RunEndEncoded(Arc::new(ends), Arc::new(ArrowField::new("values", plain, true)))
            }
            _ => plain,
        }
    }

    fn any_type(&mut self, depth: usize) -> DataType {
        let width = i32::from(self.draw::<i8>() % 8);
        match self.byte() % 8 {
            0 if depth > 0 => {
                let element = self.any_type(depth - 1);
                self.list(element, width)
            }
            1 if depth > 0 => {
                let value = self.any_type(depth - 1);
                self.encoded(value)
            }
            2 if depth > 0 => {
                let fields =
                    (0..self.up_to(3)).map(|at| ArrowField::new(at.to_string(), self.any_type(depth - 1), true));
                DataType::Struct(fields.collect::<Vec<_>>().into())
            }
            3 => DataType::FixedSizeBinary(width),
            4 => DataType::Null,
            5 => self.pick(&[DataType::Date32, DataType::UInt64, DataType::Float16, DataType::Int8]),
            _ => {
                let data_type = self.pick(&DATA_TYPES);
                self.scalar(data_type)
            }
        }
    }
}

fn item(data_type: DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("item", data_type, true))
}

/// Whether rows are lists of numbers rather than bytes.
pub(super) fn has_lists(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => has_lists(value),
        DataType::RunEndEncoded(_, value) => has_lists(value.data_type()),
        other => other.is_nested(),
    }
}
