package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

const (
	stamp = "2006-01-02T15:04:05.000000000"
	clock = "15:04:05.000000000"
)

// A value as typed.py writes it.
func written(column arrow.Array, at int) any {
	if column.IsNull(at) {
		return nil
	}
	switch column := column.(type) {
	case *array.Null:
		return nil
	case *array.Boolean:
		return column.Value(at)
	case *array.Int8:
		return strconv.FormatInt(int64(column.Value(at)), 10)
	case *array.Int16:
		return strconv.FormatInt(int64(column.Value(at)), 10)
	case *array.Int32:
		return strconv.FormatInt(int64(column.Value(at)), 10)
	case *array.Int64:
		return strconv.FormatInt(column.Value(at), 10)
	case *array.Uint8:
		return strconv.FormatUint(uint64(column.Value(at)), 10)
	case *array.Uint16:
		return strconv.FormatUint(uint64(column.Value(at)), 10)
	case *array.Uint32:
		return strconv.FormatUint(uint64(column.Value(at)), 10)
	case *array.Uint64:
		return strconv.FormatUint(column.Value(at), 10)
	case *array.Float32:
		return bits(float64(column.Value(at)))
	case *array.Float64:
		return bits(column.Value(at))
	case *array.Decimal128:
		return column.Value(at).ToString(column.DataType().(*arrow.Decimal128Type).Scale)
	case *array.String:
		return column.Value(at)
	case *array.Binary:
		return hex.EncodeToString(column.Value(at))
	case *array.FixedSizeBinary:
		return hex.EncodeToString(column.Value(at))
	case *array.Date32:
		return column.Value(at).ToTime().Format(time.DateOnly)
	case *array.Date64:
		return column.Value(at).ToTime().Format(time.DateOnly)
	case *array.Time32:
		return column.Value(at).ToTime(column.DataType().(*arrow.Time32Type).Unit).Format(clock)
	case *array.Time64:
		return column.Value(at).ToTime(column.DataType().(*arrow.Time64Type).Unit).Format(clock)
	case *array.Timestamp:
		kind := column.DataType().(*arrow.TimestampType)
		text := column.Value(at).ToTime(kind.Unit).UTC().Format(stamp)
		if kind.TimeZone != "" {
			text += "Z"
		}
		return text
	case *array.Duration:
		unit := column.DataType().(*arrow.DurationType).Unit
		return strconv.FormatInt(int64(column.Value(at))*int64(unit.Multiplier()), 10)
	case *array.Map:
		pairs := map[string]any{}
		from, to := column.ValueOffsets(at)
		for pair := from; pair < to; pair++ {
			pairs[column.Keys().(*array.String).Value(int(pair))] = written(column.Items(), int(pair))
		}
		return pairs
	case *array.List:
		items := []any{}
		from, to := column.ValueOffsets(at)
		for item := from; item < to; item++ {
			items = append(items, written(column.ListValues(), int(item)))
		}
		return items
	case *array.Struct:
		fields := map[string]any{}
		for number, field := range column.DataType().(*arrow.StructType).Fields() {
			fields[field.Name] = written(column.Field(number), at)
		}
		return fields
	case array.Union:
		return written(column.Field(column.ChildID(at)), unionIndex(column, at))
	}
	return fmt.Sprintf("%s: %s", column.DataType(), column.ValueStr(at))
}

func unionIndex(column array.Union, at int) int {
	if dense, ok := column.(*array.DenseUnion); ok {
		return int(dense.ValueOffset(at))
	}
	return at
}

// IEEE 754 of 64 bits; there is one NaN.
func bits(value float64) string {
	if math.IsNaN(value) {
		return "nan"
	}
	return fmt.Sprintf("%016x", math.Float64bits(value))
}
