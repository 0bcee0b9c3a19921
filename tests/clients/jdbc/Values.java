import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Array;
import java.sql.Date;
import java.sql.SQLException;
import java.sql.Struct;
import java.sql.Time;
import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Values as typed.py writes them. */
final class Values {
    private static final DateTimeFormatter STAMP = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.nnnnnnnnn");
    private static final DateTimeFormatter CLOCK = DateTimeFormatter.ofPattern("HH:mm:ss.nnnnnnnnn");

    static Object written(Object value) throws SQLException {
        if (value == null || value instanceof Boolean || value instanceof String) {
            return value;
        } else if (value instanceof Float || value instanceof Double) {
            double number = ((Number) value).doubleValue();
            return Double.isNaN(number) ? "nan" : String.format("%016x", Double.doubleToLongBits(number));
        } else if (value instanceof BigDecimal number) {
            return number.toPlainString();
        } else if (value instanceof Number || value instanceof BigInteger || value instanceof Character) {
            return value instanceof Character c ? Integer.toString(c) : value.toString();
        } else if (value instanceof byte[] bytes) {
            return hex(bytes);
        } else if (value instanceof Timestamp time) {
            return STAMP.format(time.toLocalDateTime());
        } else if (value instanceof OffsetDateTime instant) {
            return STAMP.format(instant.withOffsetSameInstant(ZoneOffset.UTC)) + "Z";
        } else if (value instanceof Time time) {
            return CLOCK.format(Instant.ofEpochMilli(time.getTime()).atZone(ZoneId.systemDefault()).toLocalTime());
        } else if (value instanceof Date day) {
            return day.toLocalDate().toString();
        } else if (value instanceof LocalDateTime time) {
            return STAMP.format(time);
        } else if (value instanceof LocalDate || value instanceof Duration) {
            return value instanceof Duration span ? Long.toString(span.toNanos()) : value.toString();
        } else if (value instanceof LocalTime time) {
            return CLOCK.format(time);
        } else if (value instanceof Array array) {
            return list(List.of(), (Object[]) array.getArray());
        } else if (value instanceof Struct struct) {
            return list(List.of(), struct.getAttributes());
        } else if (value instanceof Object[] items) {
            return list(List.of(), items);
        } else if (value instanceof List<?> items) {
            return list(items, new Object[0]);
        } else if (value instanceof Map<?, ?> map) {
            Map<String, Object> written = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                written.put(entry.getKey().toString(), written(entry.getValue()));
            }
            return written;
        }
        return value.getClass().getSimpleName().equals("Text") ? value.toString() : value.getClass().getName() + ":" + value;
    }

    private static List<Object> list(List<?> first, Object[] then) throws SQLException {
        List<Object> written = new ArrayList<>();
        for (Object item : first) {
            written.add(written(item));
        }
        for (Object item : then) {
            written.add(written(item));
        }
        return written;
    }

    private static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte one : bytes) {
            out.append(String.format("%02x", one));
        }
        return out.toString();
    }

    private Values() {}
}
